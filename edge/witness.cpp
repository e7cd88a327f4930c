#include "edge/witness.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "schemas/chain.h"
#include "schemas/durable_file.h"
#include "schemas/kv.h"
#include "schemas/limits.h"
#include "schemas/mutants.h"

namespace egret::edge {
namespace {

// A slot, 32 bytes: counter u32 · stream u8 · records u24 · epoch u64 · head u64 · c prefix u32 (first 4 bytes) · check u32.
constexpr size_t kSlotBytes = kWitnessBytes / 2;
constexpr size_t kCheckedBytes = kSlotBytes - sizeof(uint32_t);
constexpr uint32_t kRecordsModulus = 1U << 24;

uint32_t check_of(ByteView slot) { return get_u32(view(sha256(slot.substr(0, kCheckedBytes))), 0); }

Bytes encode_slot(uint32_t counter, const WitnessPoint& point) {
  Bytes slot;
  put_u32(slot, counter);
  put_u32(slot, static_cast<uint32_t>(point.stream) << 24 | point.records % kRecordsModulus);
  put_u64(slot, point.epoch.value);
  put_u64(slot, point.head.value);
  put_u32(slot, point.c_prefix);
  put_u32(slot, check_of(slot));
  return slot;
}

bool decode_slot(ByteView slot, uint32_t& counter, WitnessPoint& point) {
  if (slot.size() != kSlotBytes || get_u32(slot, kCheckedBytes) != check_of(slot)) return false;
  counter = get_u32(slot, 0);
  point.stream = static_cast<StreamId>(slot[4]);
  point.records = get_u32(slot, 4) % kRecordsModulus;
  point.epoch = {get_u64(slot, 8)};
  point.head = {get_u64(slot, 16)};
  point.c_prefix = get_u32(slot, 24);
  return counter != 0 && static_cast<size_t>(point.stream) < kStreamCount;
}

uint32_t records_of(const EpochView& epoch) {
  uint64_t records = 0;
  for (const StreamView& stream : epoch.streams) records += stream.head.value;
  return static_cast<uint32_t>(records % kRecordsModulus);
}

Error failed(const char* what) { return {Errc::store_failed, std::string("witness file: ") + what + ": " + std::strerror(errno)}; }

}  // namespace

std::optional<WitnessPoint> witness_point(const View& view) {
  const EpochView* current = view.find(view.current);
  if (!current) return std::nullopt;
  size_t longest = 0;
  for (size_t i = 1; i < kStreamCount; i++) {
    if (current->streams[i].head > current->streams[longest].head) longest = i;
  }
  const StreamView& stream = current->streams[longest];
  if (stream.empty()) return std::nullopt;
  return WitnessPoint{current->id, static_cast<StreamId>(longest), stream.head, get_u32(egret::view(stream.c_head), 0), records_of(*current)};
}

bool is_shorter(const View& view, const WitnessPoint& point) {
  const EpochView* epoch = view.find(point.epoch);
  if (!epoch) return false;
  if (epoch->streams[static_cast<size_t>(point.stream)].head < point.head) return true;
  if (mutant(Mutant::witness_one_lane)) return false;
  // 0: written by a program that did not count yet. More may have come after the point, never half of the modulus.
  return point.records != 0 && (records_of(*epoch) - point.records) % kRecordsModulus >= kRecordsModulus / 2;
}

Result<Witness> Witness::open(const std::filesystem::path& file) {
  Witness witness;
  witness.fd_ = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  if (witness.fd_ < 0 && errno == ENOENT) {
    witness.fd_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    Result<void> named = witness.fd_ >= 0 ? sync_folder(file.parent_path()) : Result<void>();
    if (!named) return named.error();
  }
  if (witness.fd_ < 0) return failed("open");
  char bytes[kWitnessBytes] = {};
  ssize_t n = ::pread(witness.fd_, bytes, sizeof bytes, 0);
  if (n < 0) return failed("read");
  ByteView all(bytes, static_cast<size_t>(n));
  for (size_t at = 0; at + kSlotBytes <= all.size(); at += kSlotBytes) {
    uint32_t counter = 0;
    WitnessPoint point;
    if (!decode_slot(all.substr(at, kSlotBytes), counter, point) || counter <= witness.counter_) continue;
    witness.counter_ = counter;
    witness.last_ = point;
  }
  return witness;
}

Witness::Witness(Witness&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), counter_(other.counter_), last_(other.last_) {}
Witness& Witness::operator=(Witness&& other) noexcept {
  std::swap(fd_, other.fd_);
  counter_ = other.counter_;
  last_ = other.last_;
  return *this;
}
Witness::~Witness() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> Witness::write(const WitnessPoint& point) {
  counter_++;
  Bytes slot = encode_slot(counter_, point);
  off_t at = static_cast<off_t>((counter_ % 2) * kSlotBytes);
  if (::pwrite(fd_, slot.data(), slot.size(), at) != static_cast<ssize_t>(slot.size())) return failed("write");
  if (::fdatasync(fd_) != 0) return failed("sync");
  last_ = point;
  return {};
}

}  // namespace egret::edge
