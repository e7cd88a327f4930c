#include "cloud/follower.h"

#include "schemas/chain.h"
#include "schemas/record.pb.h"

namespace egret::cloud {
namespace {

// The kinds that state something about a result. Body begins with its kind: field 1, a number below 128.
bool about_results(ByteView body) {
  if (body.size() < 2 || body[0] != 0x08) return false;
  const auto kind = Kind(body[1]);
  return kind == Kind::ai_result || kind == Kind::review || kind == Kind::retraction;
}

Result<uint64_t> newest(const Kv& kv) {
  const auto stored = kv.get(kMetaSpace, feed_number_key());
  if (!stored) return stored.error();
  return *stored ? get_u64(**stored, 0) : 0;
}

}  // namespace

Result<ViewsState> Follower::load() {
  const auto asked = kv_.get(kViewSpace, rebuild_asked_key());
  const auto stored = kv_.get(kViewSpace, views_state_key());
  if (!asked || !stored) return asked ? stored.error() : asked.error();
  if (*stored && !*asked) {
    auto state = decode_views_state(**stored);
    if (!state || state->format == kViewsFormat) return state;
  }
  if (auto again = rebuild(); !again) return std::move(again).error();
  return load();
}

Result<void> Follower::ask_rebuild(Kv& kv) {
  KvBatch batch;
  batch.put(kViewSpace, rebuild_asked_key(), {});
  return kv.write(batch, true);
}

Result<void> Follower::rebuild() {
  // What is committed from here on is in the feed; what was before is found by going through the blocks.
  const auto number = newest(kv_);
  if (!number) return number.error();
  KvBatch batch;
  batch.erase_range(kViewSpace, {}, end_of_space());
  batch.put(kViewSpace, views_state_key(), encode(ViewsState{kViewsFormat, *number, Bytes(1, '\0')}));
  return kv_.write(batch, true);
}

Result<std::optional<uint64_t>> Follower::behind(const Kv& kv) {
  const auto asked = kv.get(kViewSpace, rebuild_asked_key());
  const auto stored = kv.get(kViewSpace, views_state_key());
  const auto number = newest(kv);
  if (!asked || !stored || !number) return !asked ? asked.error() : !stored ? stored.error() : number.error();
  if (*asked || !*stored) return std::optional<uint64_t>();
  const auto state = decode_views_state(**stored);
  if (!state) return state.error();
  if (state->format != kViewsFormat || !state->next_block.empty()) return std::optional<uint64_t>();
  return std::optional<uint64_t>(*number - std::min(*number, state->done));
}

// The keys of the blocks that come next, and where the views will be when they are in.
Result<std::vector<Bytes>> Follower::next(ViewsState& state, size_t blocks) const {
  std::vector<Bytes> out;
  if (!state.next_block.empty()) {
    const Bytes from = std::exchange(state.next_block, {});
    auto scanned = kv_.scan(kBlockSpace, from, end_of_space(), [&](ByteView key, ByteView) {
      if (out.size() == blocks) state.next_block = Bytes(key);
      if (out.size() < blocks) out.emplace_back(key);
      return state.next_block.empty();
    });
    if (!scanned) return std::move(scanned).error();
    return out;
  }
  auto scanned = kv_.scan(kFeedSpace, feed_key(state.done + 1), end_of_space(), [&](ByteView key, ByteView block) {
    out.emplace_back(block);
    state.done = get_u64(key, 0);
    return out.size() < blocks;
  });
  if (!scanned) return std::move(scanned).error();
  return out;
}

Result<size_t> Follower::step(size_t blocks) {
  auto state = load();
  if (!state) return std::move(state).error();
  const bool anew = !state->next_block.empty();
  const auto keys = next(*state, blocks);
  if (!keys) return keys.error();
  if (keys->empty() && !anew) return size_t{0};
  changes_.clear();
  uses_.clear();
  for (const Bytes& key : *keys) {
    auto taken = take(key);
    if (taken) continue;
    if (taken.error().code != Errc::corrupt) return std::move(taken).error();
    ++unreadable_;  // `verify` says which
  }
  KvBatch batch = std::move(uses_);
  write_changes(batch, state->done);
  batch.put(kViewSpace, views_state_key(), encode(*state));
  // Synced, for no log may ever end in two writes that are not: one torn end is told from damage (schemas/kv_wal).
  if (auto written = kv_.write(batch, true); !written) return std::move(written).error();
  return std::max<size_t>(keys->size(), 1);
}

Result<void> Follower::take(ByteView block) {
  const auto name = numbered_of(block);
  if (!name) return Error{Errc::corrupt, "cloud store: a block's key has another form"};
  const auto entries = reader_.block(name->fac, name->key, name->seq);
  // What was erased by its owner's order since is no statement.
  if (!entries) return entries.error().code == Errc::not_found ? Result<void>() : Result<void>(entries.error());
  for (size_t i = 0; i < entries->size(); i++) {
    const StoredEntry& entry = (*entries)[i];
    if (entry.kind != EntryKind::applied) continue;
    if (auto taken = take_record(name->fac, {name->key, name->seq + i}, entry.record); !taken) return taken;
  }
  return {};
}

Result<void> Follower::take_record(const Facility& fac, const Place& place, ByteView record) {
  const auto parts = split_record(record);
  if (!parts) return parts.error();
  if (!about_results(parts->body)) return {};
  v1::Body body;
  if (!body.ParseFromArray(parts->body.data(), static_cast<int>(parts->body.size())) || body.facility_id() != fac)
    return Error{Errc::corrupt, "cloud store: an applied record cannot be read"};
  for (const Stated& stated : statements_in(body, sha256(parts->body))) {
    const auto to = change(stated.about);
    if (!to) return to.error();
    (*to)->changed |= (*to)->row.add(stated.statement, place);
    const auto* version = std::get_if<Version>(&stated.statement);
    if (!version) continue;
    Bytes number;
    put_u32(number, version->number);
    uses_.put(kViewSpace, model_use_key(version->model, body.ai_result().t_effective().us(), stated.about), std::move(number));
  }
  return {};
}

Result<Follower::Change*> Follower::change(const ResultName& name) {
  const auto [at, fresh] = changes_.try_emplace(name);
  if (!fresh) return &at->second;
  auto row = find_result(kv_, name);
  if (!row) return std::move(row).error();
  if (!*row) return &at->second;
  at->second.row = std::move(**row);
  const ResultView before = at->second.row.view();
  at->second.alert = before.alert;
  at->second.issues = before.issues.size();
  return &at->second;
}

void Follower::write_changes(KvBatch& batch, uint64_t number) {
  for (auto& [name, change] : changes_) {
    if (!change.changed) continue;
    change.row.changed = number;
    const ResultView view = change.row.view();
    if (view.alert != change.alert) {
      if (change.alert != AlertState::none) batch.erase(kViewSpace, alert_key(change.alert, name));
      if (view.alert != AlertState::none) batch.put(kViewSpace, alert_key(view.alert, name), feed_key(number));
    }
    if (view.issues.empty() && change.issues > 0) batch.erase(kViewSpace, worklist_key(name));
    if (!view.issues.empty()) {
      Bytes count;
      put_u32(count, static_cast<uint32_t>(view.issues.size()));
      batch.put(kViewSpace, worklist_key(name), std::move(count));
    }
    batch.put(kViewSpace, result_key(name), encode(change.row));
  }
}

}  // namespace egret::cloud
