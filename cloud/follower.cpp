#include "cloud/follower.h"

#include "cloud/alerts.h"
#include "cloud/feed.h"
#include "cloud/fhir/shelf.h"
#include "cloud/result_index.h"
#include "schemas/chain.h"
#include "schemas/merge_rules.h"
#include "schemas/record.pb.h"

namespace egret::cloud {
namespace {

constexpr size_t kNumberedAStep = 1024;

// The kinds that views are made of.
bool makes_views(ByteView body) {
  const Kind kind = kind_in(body);
  return kind >= Kind::ai_result && kind <= Kind::source_document;
}

// What was erased since: at most so many results are looked at in one step.
constexpr size_t kLooksAStep = 64;

Result<std::vector<ResultName>> to_look_at(const Kv& kv, size_t most) {
  std::vector<ResultName> out;
  auto scanned = kv.scan(kViewSpace, "?", "@", [&](ByteView key, ByteView) {
    if (auto name = result_of('?', key)) out.push_back(std::move(*name));
    return out.size() < most;
  });
  if (!scanned) return std::move(scanned).error();
  return out;
}

// Blocks that have no number in the feed yet: only where several write. Few: a step numbers more than it takes.
Result<uint64_t> arrived(const Kv& kv) {
  uint64_t out = 0;
  const Bytes first = table_prefix('p');
  auto scanned = kv.scan(kMetaSpace, first, after_prefix(first), [&](ByteView, ByteView) { return ++out, true; });
  if (!scanned) return std::move(scanned).error();
  return out;
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
  const auto number = newest_number(kv_);
  if (!number) return number.error();
  KvBatch batch;
  batch.erase_range(kViewSpace, {}, end_of_space());
  batch.put(kViewSpace, views_state_key(), encode(ViewsState{kViewsFormat, *number, Bytes(1, '\0')}));
  auto written = kv_.write(batch, true);
  if (auto* shared = dynamic_cast<SharedKv*>(&kv_); shared != nullptr && written) shared->begin();
  return written;
}

Result<std::optional<uint64_t>> Follower::behind(const Kv& kv) {
  // First, for a block that gets its number meanwhile may be counted twice and never not at all.
  const auto unnumbered = arrived(kv);
  if (!unnumbered) return unnumbered.error();
  const auto asked = kv.get(kViewSpace, rebuild_asked_key());
  const auto stored = kv.get(kViewSpace, views_state_key());
  const auto number = newest_number(kv);
  if (!asked || !stored || !number) return !asked ? asked.error() : !stored ? stored.error() : number.error();
  if (*asked || !*stored) return std::optional<uint64_t>();
  const auto state = decode_views_state(**stored);
  if (!state) return state.error();
  if (state->format != kViewsFormat || !state->next_block.empty()) return std::optional<uint64_t>();
  const auto again = to_look_at(kv, kLooksAStep);
  if (!again) return again.error();
  return std::optional<uint64_t>(*unnumbered + *number - std::min(*number, state->done) + again->size());
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
  if (auto* shared = dynamic_cast<SharedKv*>(&kv_)) {
    if (auto numbered = number_arrived(*shared, kNumberedAStep); !numbered) return numbered;
  }
  const AtOnce at_once(kv_);
  auto state = load();
  if (!state) return std::move(state).error();
  const bool anew = !state->next_block.empty();
  const auto keys = next(*state, blocks);
  if (!keys) return keys.error();
  // Of a step that failed nothing is left.
  changes_.clear();
  batch_.clear();
  models_.begin_anew();
  gauges_.begin_anew();
  volumes_.begin_anew();
  for (const Bytes& key : *keys) {
    auto taken = take(key);
    if (taken) continue;
    if (taken.error().code != Errc::corrupt) return std::move(taken).error();
    ++unreadable_;  // `verify` says which
  }
  const auto again = look_again();
  if (!again) return again.error();
  if (keys->empty() && *again == 0 && !anew) return size_t{0};
  for (auto& [name, change] : changes_) {
    if (change.changed) write_change(batch_, name, change, state->done);
  }
  if (auto counted = models_.write_counts(batch_); !counted) return std::move(counted).error();
  gauges_.write(batch_);
  if (auto counted = volumes_.write(batch_); !counted) return std::move(counted).error();
  batch_.put(kViewSpace, views_state_key(), encode(*state));
  // Synced, for no log may ever end in two writes that are not: one torn end is told from damage (schemas/kv_wal).
  if (auto written = kv_.write(batch_, true); !written) return std::move(written).error();
  return std::max<size_t>(keys->size() + *again, 1);
}

Result<void> Follower::take(ByteView block) {
  const auto name = numbered_of(block);
  if (!name) return Error{Errc::corrupt, "cloud store: a block's key has another form"};
  const auto entries = reader_.block(name->fac, name->key, name->seq);
  // What was erased by its owner's order since is no statement.
  if (!entries) return entries.error().code == Errc::not_found ? volumes_.take(block, {}) : Result<void>(entries.error());
  if (auto counted = volumes_.take(block, *entries); !counted) return counted;
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
  if (!makes_views(parts->body)) return {};
  v1::Body body;
  if (!body.ParseFromArray(parts->body.data(), static_cast<int>(parts->body.size())) || body.facility_id() != fac)
    return Error{Errc::corrupt, "cloud store: an applied record cannot be read"};
  if (body.schema() != kRecordSchema) return {};
  const Hash content = sha256(parts->body);
  if (!store_key_) {
    const auto key = patient_key(kv_);
    if (!key) return key.error();
    store_key_ = *key;
  }
  if (body.has_identity_link()) {
    put_link(batch_, read_link(body.identity_link(), *store_key_, content, fac, place));
  } else if (body.has_model_def()) {
    const v1::ModelDef& model = body.model_def();
    put_model(batch_, {model_ref_of(model), model.model_id(), model.vendor(), model.name(), model.version()});
    put_definition(batch_, model);
  } else if (body.has_telemetry_batch()) {
    return gauges_.take(fac, body.telemetry_batch(), content);
  } else if (body.has_source_document()) {
    return fhir::shelve(reader_, fac, place, body.source_document(), batch_);
  }
  return take_result(fac, place, body, content);
}

Result<void> Follower::take_result(const Facility& fac, const Place& place, const v1::Body& body, const Hash& content) {
  for (Stated& stated : statements_in(body, content)) {
    if (auto* version = std::get_if<Version>(&stated.statement)) version->subject = patient_of(*store_key_, body.ai_result().phi().subject());
    const auto to = change(stated.about);
    if (!to) return to.error();
    (*to)->changed |= (*to)->row.add(stated.statement, place, fac);
  }
  return {};
}

// Results of which something was erased: a statement stays while its record is applied. [28]
Result<size_t> Follower::look_again() {
  if (off(Rule::erasure)) return size_t{0};
  const auto names = to_look_at(kv_, kLooksAStep);
  if (!names) return names.error();
  for (const ResultName& name : *names) {
    const auto to = change(name);
    if (!to) return to.error();
    std::vector<PlacedStatement> left;
    for (PlacedStatement& s : (*to)->row.statements) {
      const auto there = kv_.get(kNaturalSpace, natural_key(s.by, {kind_of(s.statement), body_of(s.statement)}));
      if (!there) return there.error();
      if (*there) left.push_back(std::move(s));
    }
    (*to)->changed |= left.size() != (*to)->row.statements.size();
    (*to)->row.statements = std::move(left);
    batch_.erase(kViewSpace, look_again_key(name));
  }
  return names->size();
}

Result<Follower::Change*> Follower::change(const ResultName& name) {
  const auto [at, fresh] = changes_.try_emplace(name);
  if (!fresh) return &at->second;
  auto row = find_result(kv_, name);
  if (!row) return std::move(row).error();
  if (!*row) return &at->second;
  at->second.before = **row;
  at->second.row = std::move(**row);
  return &at->second;
}

void Follower::write_change(KvBatch& batch, const ResultName& name, Change& change, uint64_t number) {
  change.row.changed = number;
  derive(name, change.before, change.row, number, models_, batch);
  if (change.row.statements.empty()) {
    batch.erase(kViewSpace, result_key(name));
  } else {
    batch.put(kViewSpace, result_key(name), encode(change.row));
  }
}

void Follower::derive(const ResultName& name, const ResultRow& before, const ResultRow& after, uint64_t number, ModelUses& models,
                      KvBatch& batch) {
  const ResultView view = after.view(), was = before.view();
  if (view.alert != was.alert) {
    batch.put(kViewSpace, alert_mark_key(name), {});
    if (was.alert != AlertState::none) batch.erase(kViewSpace, alert_key(was.alert, name));
    if (view.alert != AlertState::none) batch.put(kViewSpace, alert_key(view.alert, name), feed_key(number));
  }
  if (view.issues.empty() && !was.issues.empty()) batch.erase(kViewSpace, worklist_key(name));
  if (!view.issues.empty()) {
    Bytes count;
    put_u32(count, static_cast<uint32_t>(view.issues.size()));
    batch.put(kViewSpace, worklist_key(name), std::move(count));
  }
  models.change(name, {before, was}, {after, view}, batch);
  change_index(name, {before, was}, {after, view}, batch);
  change_patients(name, before, after, batch);
}

}  // namespace egret::cloud
