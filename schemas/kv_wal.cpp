#include "schemas/kv_wal.h"

#include <fmt/format.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <boost/crc.hpp>
#include <optional>
#include <string>
#include <vector>

#include "schemas/types.h"

namespace egret {
namespace {

// RocksDB's log format (db/log_format.h there): blocks of 32 KiB; in each, fragments of
// crc32c(4, masked, over type and payload) · length(2, little-endian) · type(1) · payload.
constexpr size_t kBlockSize = 32 * 1024;
constexpr size_t kHeaderSize = 7;
// A record is a write batch: sequence(8) · count(4) · operations.
constexpr size_t kBatchCountAt = 8;
constexpr size_t kBatchHeaderSize = 12;
enum class Part : uint8_t { full = 1, first = 2, middle = 3, last = 4 };

struct Fragment {
  Part part;
  ByteView payload;
  bool begins_record() const { return part == Part::full || part == Part::first; }
  // After recovery RocksDB writes an empty batch, to keep the sequence: it holds nothing to lose.
  bool holds_data() const {
    return payload.size() > kBatchHeaderSize &&
           payload.substr(kBatchCountAt, 4) != ByteView("\0\0\0\0", 4);
  }
};

uint32_t little_endian(ByteView b) {
  uint32_t v = 0;
  for (size_t i = b.size(); i-- > 0;) v = v << 8 | uint8_t(b[i]);
  return v;
}

void append_little_endian(Bytes& out, uint32_t v, size_t n) {
  for (; n > 0; --n, v >>= 8) out.push_back(char(v & 0xff));
}

uint32_t masked_crc32c(ByteView bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return (crc.checksum() >> 15 | crc.checksum() << 17) + 0xa282ead8u;
}

std::optional<Fragment> fragment_at(ByteView log, size_t at) {
  const ByteView block = log.substr(at, kBlockSize - at % kBlockSize);
  if (block.size() < kHeaderSize) return {};
  const size_t length = little_endian(block.substr(4, 2));
  const uint8_t type = uint8_t(block[6]);
  if (type < uint8_t(Part::full) || type > uint8_t(Part::last)) return {};
  if (length > block.size() - kHeaderSize) return {};
  if (masked_crc32c(block.substr(6, 1 + length)) != little_endian(block.substr(0, 4))) return {};
  return Fragment{Part(type), block.substr(kHeaderSize, length)};
}

// Where the whole records of `log` end; log.size() when all of it is whole.
size_t whole_until(ByteView log) {
  size_t at = 0, whole = 0;
  bool inside = false;
  while (at < log.size()) {
    const size_t left = kBlockSize - at % kBlockSize;
    if (left < kHeaderSize) {  // too little for a header: padding
      at += left;
      if (!inside) whole = std::min(at, log.size());
      continue;
    }
    const auto fragment = fragment_at(log, at);
    if (!fragment || fragment->begins_record() == inside) return whole;
    inside = fragment->part == Part::first || fragment->part == Part::middle;
    at += kHeaderSize + fragment->payload.size();
    if (!inside) whole = at;
  }
  return whole;
}

// Does a record that holds data begin at or after `from`? Lengths cannot be trusted there: every
// byte is tried.
bool record_begins_after(ByteView log, size_t from) {
  for (size_t at = from; at < log.size(); ++at) {
    const auto fragment = fragment_at(log, at);
    if (fragment && fragment->begins_record() && fragment->holds_data()) return true;
  }
  return false;
}

// Where the fragments go on behind damage at `at`: where its header says, if one begins there, or
// wherever the next is found. What a header says comes first: a record may hold bytes that look
// like a log.
size_t behind_damage(ByteView log, size_t at) {
  const size_t block_end = at + kBlockSize - at % kBlockSize;
  if (at + kHeaderSize <= log.size()) {
    size_t told = at + kHeaderSize + little_endian(log.substr(at + 4, 2));
    if (told < block_end && block_end - told < kHeaderSize) told = block_end;
    if (told <= block_end && told < log.size() && fragment_at(log, told)) return told;
  }
  for (++at; at < log.size(); ++at) {
    if (fragment_at(log, at)) break;
  }
  return at;
}

// The bytes of a log that holds `records` and nothing else.
Bytes log_of(const std::vector<LogRecord>& records) {
  Bytes log;
  for (const LogRecord& record : records) {
    ByteView rest = record.bytes;
    bool begun = false;
    do {
      size_t left = kBlockSize - log.size() % kBlockSize;
      if (left < kHeaderSize) {
        log.append(left, '\0');
        left = kBlockSize;
      }
      const ByteView payload = rest.substr(0, left - kHeaderSize);
      rest.remove_prefix(payload.size());
      const Part part = rest.empty() ? (begun ? Part::last : Part::full)
                                     : (begun ? Part::middle : Part::first);
      const Bytes typed = Bytes(1, char(part)).append(payload);
      append_little_endian(log, masked_crc32c(typed), 4);
      append_little_endian(log, uint32_t(payload.size()), 2);
      log += typed;
      begun = true;
    } while (!rest.empty());
  }
  return log;
}

std::vector<std::pair<uint64_t, std::string>> logs_in_order(rocksdb::Env& env,
                                                            const std::string& dir) {
  std::vector<std::string> names;
  env.GetChildren(dir, &names)
      .PermitUncheckedError();  // no directory: a store that is not there yet
  std::vector<std::pair<uint64_t, std::string>> logs;
  for (const std::string& name : names) {
    const size_t digits = name.find_first_not_of("0123456789");
    if (digits == 0 || digits > 18 || name.substr(std::min(digits, name.size())) != ".log")
      continue;
    logs.emplace_back(std::stoull(name), name);
  }
  std::sort(logs.begin(), logs.end());
  return logs;
}

Error unwritable(const std::filesystem::path& file, const rocksdb::Status& s) {
  const bool full = s.IsNoSpace();
  return {full ? Errc::disk_full : Errc::store_failed, fmt::format("store: cutting {}: {}", file.string(), s.ToString())};
}

// Puts `log` in the place of `file`: written beside, synced, renamed. RocksDB deletes what a power cut leaves of *.dbtmp.
Result<void> put_in_place(rocksdb::Env& env, const std::filesystem::path& file, ByteView log) {
  const std::string beside = std::filesystem::path(file).replace_extension(".dbtmp").string();
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

struct TornLog {
  std::filesystem::path file;
  std::string bytes;
  size_t whole = 0;
};

}  // namespace

Result<void> cut_torn_tail(rocksdb::Env& env, const std::filesystem::path& dir) {
  std::string damage;  // the first, as words
  std::vector<TornLog> torn;
  for (const auto& [number, name] : logs_in_order(env, dir.string())) {
    std::string log;
    if (auto s = rocksdb::ReadFileToString(&env, (dir / name).string(), &log); !s.ok()) {
      return Error{Errc::store_failed, fmt::format("store {}: reading {}: {}", dir.string(), name, s.ToString())};
    }
    const size_t whole = whole_until(log);
    size_t from = 0;
    if (damage.empty()) {
      if (whole == log.size()) continue;
      damage = fmt::format("{} at byte {}", name, whole);
      from = whole + 1;  // the damaged record itself may still look like one: its first fragment is whole
    }
    if (record_begins_after(log, from)) {
      return Error{Errc::corrupt, fmt::format("store {}: log {} is damaged and more was written after that; set the directory "
                                              "aside and look at the disk",
                                              dir.string(), damage)};
    }
    if (whole < log.size()) torn.push_back({dir / name, std::move(log), whole});
  }
  if (torn.empty()) return {};
  for (const TornLog& log : torn) {
    const ByteView whole = ByteView(log.bytes).substr(0, log.whole);
    if (Result<void> kept = put_in_place(env, log.file, whole); !kept) return kept;
  }
  return sync_names(env, dir);
}

std::vector<LogRecord> whole_records(ByteView log) {
  std::vector<LogRecord> records;
  std::optional<LogRecord> open;
  for (size_t at = 0; at < log.size();) {
    const size_t left = kBlockSize - at % kBlockSize;
    if (left < kHeaderSize) {
      at += left;
      continue;
    }
    const auto fragment = fragment_at(log, at);
    if (!fragment) {
      open.reset();
      at = behind_damage(log, at);
      continue;
    }
    if (fragment->begins_record()) open = LogRecord{at, at, {}};
    at += kHeaderSize + fragment->payload.size();
    if (!open) continue;  // the end of a record that has lost its beginning
    open->bytes += fragment->payload;
    open->end = at;
    if (fragment->part == Part::first || fragment->part == Part::middle) continue;
    records.push_back(std::move(*open));
    open.reset();
  }
  return records;
}

Result<void> keep_whole_records(rocksdb::Env& env, const std::filesystem::path& dir) {
  bool changed = false;
  for (const auto& [number, name] : logs_in_order(env, dir.string())) {
    std::string log;
    // What the disk does not give at all RocksDB may still get in part.
    if (!rocksdb::ReadFileToString(&env, (dir / name).string(), &log).ok()) continue;
    if (whole_until(log) == log.size()) continue;
    const Bytes kept = log_of(whole_records(log));
    if (Result<void> put = put_in_place(env, dir / name, kept); !put) return put;
    changed = true;
  }
  return changed ? sync_names(env, dir) : Result<void>{};
}

}  // namespace egret
