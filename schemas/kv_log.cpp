#include "schemas/kv_log.h"

#include <fmt/format.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <boost/crc.hpp>

namespace egret {
namespace {

using Part = LogFragment::Part;

void append_little_endian(Bytes& out, uint32_t v, size_t n) {
  for (; n > 0; --n, v >>= 8) out.push_back(char(v & 0xff));
}

uint32_t masked_crc32c(ByteView bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return (crc.checksum() >> 15 | crc.checksum() << 17) + 0xa282ead8u;
}

Error unwritable(const std::filesystem::path& file, const rocksdb::Status& s) {
  const bool full = s.IsNoSpace();
  return {full ? Errc::disk_full : Errc::store_failed,
          fmt::format("store: cutting {}: {}", file.string(), s.ToString())};
}

}  // namespace

uint32_t little_endian(ByteView b) {
  uint32_t v = 0;
  for (size_t i = b.size(); i-- > 0;) v = v << 8 | uint8_t(b[i]);
  return v;
}

std::optional<LogFragment> fragment_at(ByteView log, size_t at) {
  const ByteView block = log.substr(at, kLogBlockBytes - at % kLogBlockBytes);
  if (block.size() < kFragmentHeaderBytes) return {};
  const size_t length = little_endian(block.substr(4, 2));
  const uint8_t type = uint8_t(block[6]);
  if (type < uint8_t(Part::full) || type > uint8_t(Part::last)) return {};
  if (length > block.size() - kFragmentHeaderBytes) return {};
  if (masked_crc32c(block.substr(6, 1 + length)) != little_endian(block.substr(0, 4))) return {};
  return LogFragment{Part(type), block.substr(kFragmentHeaderBytes, length)};
}

// Where the whole records of `log` end; log.size() when all of it is whole.
size_t whole_until(ByteView log) {
  size_t at = 0, whole = 0;
  bool inside = false;
  while (at < log.size()) {
    const size_t left = kLogBlockBytes - at % kLogBlockBytes;
    if (left < kFragmentHeaderBytes) {  // too little for a header: padding
      at += left;
      if (!inside) whole = std::min(at, log.size());
      continue;
    }
    const auto fragment = fragment_at(log, at);
    if (!fragment || fragment->begins_record() == inside) return whole;
    inside = !fragment->ends_record();
    at += kFragmentHeaderBytes + fragment->payload.size();
    if (!inside) whole = at;
  }
  return whole;
}

void append_log_record(Bytes& log, ByteView record) {
  bool begun = false;
  do {
    size_t left = kLogBlockBytes - log.size() % kLogBlockBytes;
    if (left < kFragmentHeaderBytes) {
      log.append(left, '\0');
      left = kLogBlockBytes;
    }
    const ByteView payload = record.substr(0, left - kFragmentHeaderBytes);
    record.remove_prefix(payload.size());
    const Part part =
        record.empty() ? (begun ? Part::last : Part::full) : (begun ? Part::middle : Part::first);
    const Bytes typed = Bytes(1, char(part)).append(payload);
    append_little_endian(log, masked_crc32c(typed), 4);
    append_little_endian(log, uint32_t(payload.size()), 2);
    log += typed;
    begun = true;
  } while (!record.empty());
}

Result<void> put_in_place(rocksdb::Env& env, const std::filesystem::path& file, ByteView log) {
  const std::string name = file.filename().string(), digits = "0123456789";
  const size_t first = std::min(name.find_first_of(digits), name.size());
  const std::string number = name.substr(first, name.find_first_not_of(digits, first) - first);
  const std::string beside = (file.parent_path() / (number + ".dbtmp")).string();
  const rocksdb::EnvOptions options;
  std::unique_ptr<rocksdb::WritableFile> out;
  rocksdb::Status s = env.NewWritableFile(beside, &out, options);
  if (s.ok()) s = out->Append(rocksdb::Slice(log.data(), log.size()));
  if (s.ok()) s = out->Sync();
  if (s.ok()) s = out->Close();
  if (s.ok()) s = env.RenameFile(beside, file.string());
  if (!s.ok()) return unwritable(file, s);
  return {};
}

Result<void> sync_names(rocksdb::Env& env, const std::filesystem::path& dir) {
  std::unique_ptr<rocksdb::Directory> names;
  rocksdb::Status s = env.NewDirectory(dir.string(), &names);
  if (s.ok()) s = names->Fsync();
  if (!s.ok()) return unwritable(dir, s);
  return {};
}

}  // namespace egret
