// The part of Buffer that gives disk back: purge (es1 5.6), the finished list, shed.
#include <algorithm>

#include "edge/buffer.h"
#include "schemas/buggify.h"
#include "schemas/chain.h"
#include "schemas/es1.pb.h"
#include "schemas/limits.h"
#include "schemas/mutants.h"

namespace egret::edge {
namespace {

// Nothing to send, to purge or to compare is left. A room purge leaves borders above S: they wait for it.
bool over(const StreamRow& s) {
  return s.empty() || s.moved || (s.purged == s.head && s.border == s.head);
}

Bytes finished_entry(const EpochRow& epoch) {
  es1::FinishedEpoch entry;
  entry.set_epoch(epoch.id.value);
  for (size_t i = 0; i < kStreamCount; ++i) {
    const StreamRow& s = epoch.streams[i];
    if (s.empty()) continue;
    es1::FinishedStream& to = *entry.add_streams();
    to.set_stream(uint32_t(i));
    to.set_purged(s.purged.value);
    to.set_c_purged(Bytes(view(s.c_purged)));
    to.set_moved(s.moved);
    if (!s.moved) continue;
    to.set_head(s.head.value);
    to.set_c_head(Bytes(view(s.c_head).substr(0, kDigestWireBytes)));
  }
  return entry.SerializeAsString();
}

}  // namespace

Result<void> Buffer::purge(std::span<const PurgeTo> upto) {
  if (Result<void> ok = usable(); !ok) return ok;
  Change change = begin();
  for (const PurgeTo& p : upto) {
    if (Result<void> purged = purge_one(change, p); !purged) return fail(purged.error());
  }
  if (change.rows.empty()) return {};
  std::vector<EpochNo> touched;
  for (const auto& [no, epoch] : change.rows) touched.push_back(no);
  for (EpochNo no : touched) retire_if_done(change, no);
  return commit(change);
}

Result<void> Buffer::purge_one(Change& change, const PurgeTo& upto) {
  const EpochNo no = number_of(upto.key.epoch);
  const StreamId stream = upto.key.stream;
  if (no == 0 || row(change, no).at(stream).moving || row(change, no).at(stream).moved) return {};
  StreamRow& r = row(change, no).at(stream);
  EGRET_INVARIANT(upto.to <= r.head, "a purge stays within what is held");
  if (upto.to > r.purged) {
    const Result<std::optional<BorderRow>> border = border_at(no, stream, upto.to);
    if (!border) return border.error();
    if (!*border) return Error{Errc::corrupt, "edge store: the border at the end of a purge is missing"};
    const Bytes first = block_key(no, r.purged.next()), end = block_key(no, upto.to.next());
    change.batch.erase_range(block_space(stream), first, end);
    // From the epoch's start: what small steps have left of a table goes with the step that empties it.
    change.reclaim.push_back({block_space(stream), block_key(no, {}), end});
    if (mutant(Mutant::parked_purged)) change.batch.erase_range(kParkedSpace, parked_key(no, stream, r.purged.next()), parked_key(no, stream, upto.to.next()));
    change.store.counters.exposed += span(std::max(r.purged, upto.safe), upto.to);
    r.purged = upto.to;
    r.c_purged = (*border)->c;
    r.bytes_purged = (*border)->bytes_to;
  }
  return raise_border(change, no, stream, upto.safe);
}

Result<void> Buffer::raise_border(Change& change, EpochNo no, StreamId stream, Seq safe) {
  StreamRow& r = row(change, no).at(stream);
  if (safe <= r.border) return {};
  Seq raised = r.purged;
  if (safe < r.purged) {
    const Result<std::optional<BorderRow>> border = border_holding(no, {no, stream, r}, safe);
    if (!border) return border.error();
    if (!*border) return Error{Errc::corrupt, "edge store: the border that holds S is missing"};
    mark(Mark::borders_wait);
    raised = (*border)->last;
  }
  change.batch.erase_range(kMetaSpace, border_key(no, stream, {0}), border_key(no, stream, raised));
  r.border = raised;
  return {};
}

void Buffer::retire_if_done(Change& change, EpochNo no) const {
  if (no == change.current) return;
  const auto changed = change.rows.find(no);
  const EpochRow& epoch = changed == change.rows.end() ? memory_.epochs.at(no) : changed->second;
  if (!std::ranges::all_of(epoch.streams, over)) return;
  FinishedRow entry;
  entry.entry = finished_entry(epoch);
  entry.hash = sha256(Bytes(egret::view(change.store.finished_hash)) += entry.entry);
  Bytes index;
  put_u64(index, change.store.finished_count);
  const Bytes borders = border_key(no, StreamId::critical, {0}).substr(0, 5);
  change.batch.put(kMetaSpace, finished_key(change.store.finished_count), encode(entry));
  change.batch.put(kMetaSpace, finished_id_key(epoch.id), std::move(index));
  change.batch.erase(kMetaSpace, epoch_key(no));
  change.batch.erase_range(kMetaSpace, borders, after_prefix(borders));
  change.store.finished_hash = entry.hash;
  ++change.store.finished_count;
  change.retired.push_back(no);
}

// The oldest block above `above` that is still data. Remembers what it has walked over: a store that sheds
// for days would walk over all its gaps each time.
Result<std::optional<BorderRow>> Buffer::oldest_data(EpochNo no, const StreamRow& r, Seq above) {
  auto [it, fresh] = memory_.shed.try_emplace(no, Memory::Shed{above, above});
  Memory::Shed& walked = it->second;
  if (above < walked.above || above > walked.gaps_to) walked = {above, above};
  const Seq from = std::max({above, r.purged, walked.gaps_to});
  std::optional<BorderRow> oldest;
  Result<void> scanned = scan_borders(no, StreamId::telemetry, from.next(), r.head, [&](const BorderRow& b) {
    if (b.gap != GapKind::none) {
      walked.gaps_to = b.last;
    } else if (b.first > above) {
      oldest = b;
    }
    return !oldest;
  });
  if (!scanned) return scanned.error();
  return oldest;
}

Result<uint64_t> Buffer::shed_oldest(const std::function<Seq(EpochId)>& above) {
  if (Result<void> ok = usable(); !ok) return ok.error();
  for (const auto& [no, epoch] : memory_.epochs) {
    const StreamRow& r = epoch.at(StreamId::telemetry);
    if (r.moving || r.done()) continue;
    const Result<std::optional<BorderRow>> border = oldest_data(no, r, above(epoch.id));
    if (!border) return fail(border.error());
    if (!*border) continue;
    Change change = begin();
    if (mutant(Mutant::shed_in_two_steps)) {
      change.batch.erase(block_space(StreamId::telemetry), block_key(no, (*border)->first));
      if (Result<void> erased = commit(change); !erased) return erased.error();
      change = begin();
    }
    gap_in_place(change, no, StreamId::telemetry, **border, GapKind::shed, GapReason::disk_budget);
    change.store.counters.shed += (*border)->count;
    if (Result<void> shed = commit(change); !shed) return shed.error();
    return (*border)->count;
  }
  if (mutant(Mutant::shed_takes_results)) return shed_any(StreamId::result);
  return 0;
}

// The mutant shed_takes_results: what no build but the simulator's ever calls.
Result<uint64_t> Buffer::shed_any(StreamId stream) {
  for (const auto& [no, epoch] : memory_.epochs) {
    const StreamRow& r = epoch.at(stream);
    if (r.moving || r.done()) continue;
    const Result<std::optional<BorderRow>> border = border_holding(no, {no, stream, r}, r.purged.next());
    if (!border || !*border || (*border)->gap != GapKind::none) continue;
    Change change = begin();
    gap_in_place(change, no, stream, **border, GapKind::shed, GapReason::disk_budget);
    if (Result<void> shed = commit(change); !shed) return shed.error();
    return (*border)->count;
  }
  return 0;
}

void Buffer::gap_in_place(Change& change, EpochNo no, StreamId stream, BorderRow border, GapKind gap,
                          GapReason reason) const {
  border.gap = gap;
  border.reason = reason;
  border.raw_len = 0;
  const Bytes first = block_key(no, border.first);
  change.batch.put(kMetaSpace, border_key(no, stream, border.last), encode(border));
  change.batch.erase(block_space(stream), first);
  change.reclaim.push_back({block_space(stream), first, block_key(no, border.last.next())});
}

}  // namespace egret::edge
