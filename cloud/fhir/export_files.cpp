#include "cloud/fhir/export_files.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>

#include "cloud/fhir/export_limits.h"

namespace egret::cloud::fhir {
namespace {

Error disk_full() {
  return {Errc::disk_full, "export: the disk of the region's state has too little room left"};
}

Error failed_with(int number) {
  return number == ENOSPC || number == EDQUOT
             ? disk_full()
             : Error{Errc::store_failed,
                     "export: a file cannot be written in the region's state folder"};
}

}  // namespace

ExportFiles::~ExportFiles() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> ExportFiles::add(std::string_view type, const Json& resource) {
  const bool another = files_.empty() || files_.back().type != type;
  if (another || files_.back().bytes >= file_bytes_) {
    if (auto ended = end(); !ended) return ended;
    of_type_ = another ? 1 : of_type_ + 1;
    if (auto opened = open(type); !opened) return opened;
  }
  const std::string line = write_json(resource);
  buffer_ += line;
  buffer_ += '\n';
  ++files_.back().lines;
  files_.back().bytes += line.size() + 1;
  return buffer_.size() < kFhirExportBufferBytes ? Result<void>() : flush();
}

Result<void> ExportFiles::open(std::string_view type) {
  files_.push_back({std::string(type), fmt::format("{}.{}.ndjson", type, of_type_)});
  fd_ =
      ::open((folder_ / files_.back().name).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  return fd_ >= 0 ? Result<void>() : failed_with(errno);
}

Result<void> ExportFiles::flush() {
  struct statvfs disk;
  if (::fstatvfs(fd_, &disk) == 0 &&
      uint64_t(disk.f_bavail) * disk.f_frsize < free_bytes_ + buffer_.size())
    return disk_full();
  std::string_view left = buffer_;
  while (!left.empty()) {
    const ssize_t n = ::write(fd_, left.data(), left.size());
    if (n < 0 && errno != EINTR) return failed_with(errno);
    if (n > 0) left.remove_prefix(static_cast<size_t>(n));
  }
  buffer_.clear();
  return {};
}

Result<void> ExportFiles::end() {
  if (fd_ < 0) return {};
  if (auto flushed = flush(); !flushed) return flushed;
  const bool synced = ::fsync(fd_) == 0;
  const int number = errno;
  ::close(std::exchange(fd_, -1));
  return synced ? Result<void>() : failed_with(number);
}

}  // namespace egret::cloud::fhir
