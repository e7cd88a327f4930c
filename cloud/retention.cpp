#include "cloud/retention.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <set>

#include "cloud/audit.h"
#include "cloud/block_reader.h"
#include "cloud/decoded.h"
#include "cloud/erase.h"
#include "cloud/feed.h"
#include "cloud/holds.h"
#include "cloud/json_text.h"
#include "cloud/merge/moment.h"
#include "cloud/own_facility.h"
#include "cloud/restrictions.h"
#include "cloud/rollup.h"
#include "schemas/chain.h"
#include "schemas/record.pb.h"

namespace egret::cloud {
namespace {

constexpr size_t kAuditEntriesABlock = 64;  // cost about as much

struct Mark {
  uint64_t number = 0;
  WallTime at;
};

Bytes done_key(RetentionClass c) {
  return table_prefix('j') + char(c);
}

Bytes looked_key() {
  return table_prefix('j') + char(255);
}

Bytes number_bytes(uint64_t n) {
  Bytes out;
  put_u64(out, n);
  return out;
}

Result<uint64_t> number_at(const Kv& kv, ByteView key) {
  const auto stored = kv.get(kMetaSpace, key);
  if (!stored) return stored.error();
  return *stored ? get_u64(**stored, 0) : 0;
}

Result<std::vector<Mark>> marks(const Kv& kv) {
  const Bytes first = table_prefix('k');
  return decoded(kv, kMetaSpace, first, after_prefix(first), [](ByteView key, ByteView value) -> Result<Mark> {
    if (key.size() != 1 + sizeof(uint64_t) || value.size() != sizeof(uint64_t))
      return Error{Errc::corrupt, "cloud store: a row of the table \"retention\" is not as it was written; restore from a backup"};
    return Mark{get_u64(key, 1), {static_cast<int64_t>(get_u64(value, 0))}};
  });
}

// Up to which number of the feed everything was committed so many days ago.
uint64_t due_number(std::span<const Mark> all, int64_t days, WallTime now) {
  uint64_t due = 0;
  for (const Mark& mark : all) {
    if (days > 0 && mark.at.us <= now.us - days * kDayUs) due = mark.number;
  }
  return due;
}

// nullopt: never.
Result<std::optional<WallTime>> last_look(const Kv& kv) {
  const auto stored = kv.get(kMetaSpace, looked_key());
  if (!stored) return stored.error();
  if (!*stored) return std::optional<WallTime>();
  return std::optional<WallTime>(WallTime{static_cast<int64_t>(get_u64(**stored, 0))});
}

// Takes down once a day how far the feed is.
Result<void> take_down(Kv& kv, std::vector<Mark>& all, WallTime now, bool clock_is_right) {
  const auto newest = newest_number(kv);
  if (!newest) return newest.error();
  const auto looked = last_look(kv);
  if (!looked) return looked.error();
  const WallTime last = looked->value_or(WallTime{});
  const int64_t days = (now.us - last.us) / kDayUs;
  if (*looked && days > kRetentionLeapDays && !clock_is_right) {
    return Error{Errc::config, fmt::format("the clock says {}, {} days after retention last looked ({}): nothing is deleted on its word. If it is right: "
                                              "egret-cloud retention --run --clock-is-right", json_time(now), days, json_time(last))};
  }
  if (*looked && days < 1) return {};
  const bool grown = all.empty() || *newest > all.back().number;
  KvBatch batch;
  batch.put(kMetaSpace, looked_key(), number_bytes(static_cast<uint64_t>(now.us)));
  if (grown) batch.put(kMetaSpace, table_row('k', *newest), number_bytes(static_cast<uint64_t>(now.us)));
  if (auto written = kv.write(batch, true); !written) return written;
  if (grown) all.push_back({*newest, now});
  return {};
}

class Step {
 public:
  Step(OpenedStore& store, const RetentionPolicy& policy, std::vector<Hold> held, Restricted restricted)
      : store_(store), policy_(policy), holds_(std::move(held)), restricted_(std::move(restricted)), reader_(*store.kv) {}

  // Blocks of the feed above `done`, up to `due`, at most `blocks` of them all in all.
  Result<void> run(RetentionClass what, uint64_t due, size_t blocks) {
    const auto done = number_at(*store_.kv, done_key(what));
    if (!done) return done.error();
    if (*done >= due) return {};
    struct Fed {
      uint64_t number;
      Bytes block;
    };
    std::vector<Fed> next;
    const size_t most = blocks - std::min<size_t>(blocks, out.blocks);
    auto scanned = store_.kv->scan(kFeedSpace, feed_key(*done + 1), feed_key(due + 1), [&](ByteView key, ByteView block) {
      if (next.size() < most) next.push_back({get_u64(key, 0), Bytes(block)});
      else out.more = true;
      return !out.more;
    });
    if (!scanned) return scanned;
    uint64_t seen = out.more ? *done : due;
    for (const Fed& fed : next) {
      if (auto taken = take(what, fed.block, due); !taken) return taken;
      seen = std::max(seen, fed.number);
      ++out.blocks;
    }
    KvBatch batch;
    batch.put(kMetaSpace, done_key(what), number_bytes(seen));
    return store_.kv->write(batch, true);
  }

  Retained out;

 private:
  Result<void> take(RetentionClass what, ByteView block, uint64_t due) {
    const auto name = numbered_of(block);
    if (!name) return Error{Errc::corrupt, "cloud store: a block's key has another form"};
    const auto entries = reader_.block(name->fac, name->key, name->seq);
    if (!entries) return entries.error().code == Errc::not_found ? Result<void>() : Result<void>(entries.error());
    if (what == RetentionClass::results) return erase_results(*name, *entries, due);
    // What FHIR clients wrote is kept as documents of the region itself, and is no copy of anything.
    if (what == RetentionClass::documents && name->fac == kRegionFacility) return {};
    return expire(what, *name, *entries);
  }

  bool held(const Facility& fac, RetentionClass what) const {
    return std::ranges::any_of(holds_, [&](const Hold& hold) { return hold.covers(fac, what); });
  }

  Result<void> expire(RetentionClass what, const NumberedName& block, std::span<const StoredEntry> entries) {
    std::vector<size_t> gone;
    for (size_t i = 0; i < entries.size(); i++) {
      if (entries[i].kind != EntryKind::applied) continue;
      const auto parts = split_record(entries[i].record);
      if (!parts) return parts.error();
      if (class_of(kind_in(parts->body)) == what) gone.push_back(i);
    }
    if (gone.empty()) return {};
    if (held(block.fac, what)) {
      out.held += gone.size();
      return {};
    }
    auto txn = store_.store->begin({&block.fac, 1});
    Rollup kept(*store_.kv, block.fac);
    if (what == RetentionClass::telemetry) {
      for (size_t i : gone) {
        v1::Body body;
        const ByteView bytes = split_record(entries[i].record)->body;
        if (!body.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return Error{Errc::corrupt, "cloud store: an applied record cannot be read"};
        if (auto taken = kept.take(body.telemetry_batch()); !taken) return taken;
      }
    }
    if (auto done = txn->expire(block.fac, block.key, block.seq, gone, kept.rows()); !done) return done;
    if (store_.store->commit(std::move(txn)) != CommitResult::committed) return store_.store->last_error();
    out.expired[size_t(what)] += gone.size();
    return {};
  }

  // A result goes as a whole, once the last word about it is old enough: it is met again with each of them.
  Result<void> erase_results(const NumberedName& block, std::span<const StoredEntry> entries, uint64_t due) {
    std::set<ResultName> names;
    for (const StoredEntry& entry : entries) {
      if (entry.kind != EntryKind::applied) continue;
      const auto parts = split_record(entry.record);
      if (!parts) return parts.error();
      v1::Body body;
      if (class_of(kind_in(parts->body)) != RetentionClass::results) continue;
      if (!body.ParseFromArray(parts->body.data(), static_cast<int>(parts->body.size())) || body.schema() != kRecordSchema) continue;
      for (const Stated& stated : statements_in(body, sha256(parts->body))) names.insert(stated.about);
    }
    for (const ResultName& name : names) {
      const auto row = find_result(*store_.kv, name);
      if (!row) return row.error();
      if (!*row || (*row)->changed > due) continue;
      // Whose data must not be used may need it all the same: it stays until the order is lifted.
      const bool restricted = !restricted_.orders_of(**row).empty();
      const bool kept = restricted || held(name.fac, RetentionClass::results) || held(block.fac, RetentionClass::results) ||
                        std::ranges::any_of(holds_, [&](const Hold& hold) { return hold.counts() && hold.result == name; });
      out.held += kept;
      if (kept) continue;
      const auto erased = erase_result(store_, name, fmt::format("kept for {} days", policy_[RetentionClass::results]));
      if (!erased && erased.error().code != Errc::not_found) return erased.error();
      out.expired[size_t(RetentionClass::results)] += erased.has_value();
    }
    return {};
  }

  OpenedStore& store_;
  const RetentionPolicy& policy_;
  const std::vector<Hold> holds_;
  const Restricted restricted_;
  BlockReader reader_;
};

}  // namespace

Result<Retained> retain(OpenedStore& store, const RetentionPolicy& policy, WallTime now, size_t blocks, bool clock_is_right) {
  auto all = marks(*store.kv);
  if (!all) return std::move(all).error();
  if (auto taken = take_down(*store.kv, *all, now, clock_is_right); !taken) return std::move(taken).error();
  auto held = holds(*store.kv);
  if (!held) return std::move(held).error();
  auto restricted = Restricted::read(*store.kv);
  if (!restricted) return std::move(restricted).error();
  Step step(store, policy, std::move(*held), std::move(*restricted));
  for (size_t c = 0; c < kRetentionClasses && step.out.blocks < blocks; c++) {
    const RetentionClass what{uint8_t(c)};
    if (auto done = step.run(what, due_number(*all, policy[what], now), blocks); !done) return std::move(done).error();
  }
  step.out.more = step.out.more || step.out.blocks >= blocks;
  const size_t entries = blocks * kAuditEntriesABlock;
  const auto gone = expire_audit(*store.kv, policy.audit_days, now, entries);
  if (!gone) return gone.error();
  step.out.audit = *gone;
  step.out.more = step.out.more || (entries > 0 && *gone == entries);
  return step.out;
}

Result<RetentionState> retention_state(const Kv& kv, const RetentionPolicy& policy, WallTime now) {
  const auto all = marks(kv);
  const auto newest = newest_number(kv);
  const auto looked = last_look(kv);
  if (!all || !newest || !looked) return !all ? all.error() : !newest ? newest.error() : looked.error();
  RetentionState out{looked->value_or(WallTime{}), *newest, {}, {}};
  for (size_t c = 0; c < kRetentionClasses; c++) {
    const RetentionClass what{uint8_t(c)};
    const auto done = number_at(kv, done_key(what));
    if (!done) return done.error();
    out.done[c] = *done;
    out.due[c] = due_number(*all, policy[what], now);
  }
  return out;
}

void look_at_all_again(KvBatch& batch) {
  for (size_t c = 0; c < kRetentionClasses; c++) batch.erase(kMetaSpace, done_key(RetentionClass(uint8_t(c))));
}

std::string to_json(const Retained& done) {
  std::string out;
  for (size_t c = 0; c < kRetentionClasses; c++) out += fmt::format(R"("{}":{},)", name_of(RetentionClass(uint8_t(c))), done.expired[c]);
  return fmt::format(R"({{"expired":{{{}"audit":{}}},"held":{},"blocks":{},"more":{}}})", out, done.audit, done.held, done.blocks, done.more);
}

std::string to_json(const RetentionState& state, const RetentionPolicy& policy) {
  std::string out;
  for (size_t c = 0; c < kRetentionClasses; c++) {
    const RetentionClass what{uint8_t(c)};
    out += fmt::format(R"("{}":{{"days":{},"blocks_due":{}}},)", name_of(what), policy[what], state.due[c] - std::min(state.due[c], state.done[c]));
  }
  return fmt::format(R"({{"looked":{},"blocks":{},{}"audit_days":{}}})", json_time(state.looked), state.newest, out, policy.audit_days);
}

}  // namespace egret::cloud
