#include "schemas/kv_wal.h"

#include <fmt/format.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "schemas/kv_log.h"

namespace egret {
namespace {

// A record is a write batch: sequence(8) · count(4) · operations.
constexpr size_t kBatchCountAt = 8;
constexpr size_t kBatchHeaderBytes = 12;

// After recovery RocksDB writes an empty batch, to keep the sequence: it holds nothing to lose.
bool holds_data(const LogFragment& fragment) {
  return fragment.payload.size() > kBatchHeaderBytes &&
         fragment.payload.substr(kBatchCountAt, 4) != ByteView("\0\0\0\0", 4);
}

// Does a record that holds data begin at or after `from`? Lengths cannot be trusted there: every
// byte is tried.
bool record_begins_after(ByteView log, size_t from) {
  for (size_t at = from; at < log.size(); ++at) {
    const auto fragment = fragment_at(log, at);
    if (fragment && fragment->begins_record() && holds_data(*fragment)) return true;
  }
  return false;
}

// Where the fragments go on behind damage at `at`: where its header says, if one begins there, or
// wherever the next is found. What a header says comes first: a record may hold bytes that look
// like a log.
size_t behind_damage(ByteView log, size_t at) {
  const size_t block_end = at + kLogBlockBytes - at % kLogBlockBytes;
  if (at + kFragmentHeaderBytes <= log.size()) {
    size_t told = at + kFragmentHeaderBytes + little_endian(log.substr(at + 4, 2));
    if (told < block_end && block_end - told < kFragmentHeaderBytes) told = block_end;
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
  for (const LogRecord& record : records) append_log_record(log, record.bytes);
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
    const size_t left = kLogBlockBytes - at % kLogBlockBytes;
    if (left < kFragmentHeaderBytes) {
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
    at += kFragmentHeaderBytes + fragment->payload.size();
    if (!open) continue;  // the end of a record that has lost its beginning
    open->bytes += fragment->payload;
    open->end = at;
    if (!fragment->ends_record()) continue;
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
