#include "tests/sim/cloud_watch.h"

#include <algorithm>

#include "schemas/chain.h"

namespace egret::sim {

using cloud::GapRow;
using cloud::LedgerRow;

void CloudWatch::after(const KvBatch& batch) {
  for (const KvOp& op : batch.ops()) {
    if (op.what != KvOp::What::put) continue;
    if (op.space == cloud::kMetaSpace) take(op.key, op.value, true);
    if (op.space != cloud::kNaturalSpace) continue;
    if (const auto name = cloud::natural_of(op.key)) take_stored(name->fac, name->key.content, false);
  }
  for (const RowName& name : changed_) check_chain(name, rows_.at(name));
  changed_.clear();
}

void CloudWatch::look_anew() {
  stored_.clear();
  rows_.clear();
  gaps_.clear();
  for (const auto& [key, value] : disk_.table(cloud::kMetaSpace)) take(key, *value, false);
  for (const auto& [key, value] : disk_.table(cloud::kNaturalSpace)) {
    if (const auto name = cloud::natural_of(key)) take_stored(name->fac, name->key.content, false);
  }
  changed_.clear();
}

void CloudWatch::take(const Bytes& key, ByteView value, bool count) {
  Tally& tally = journal_.tally;
  if (key[0] == 'l') {
    const auto name = cloud::stream_of('l', key);
    const auto row = cloud::decode_ledger(value);
    if (!name || !row) return journal_.fail("I5", "a row of the ledger is not as it was written");
    const RowName row_name{name->fac, name->key};
    const auto known = rows_.find(row_name);
    if (known != rows_.end() && row->w < known->second.w) {
      journal_.fail("I6", "W of {} fell from {} to {}", name->fac, known->second.w.value, row->w.value);
    }
    tally.checked[6]++;
    const bool moved = known == rows_.end() || known->second.w != row->w || known->second.c != row->c;
    if (known != rows_.end() && moved && known->second.w == row->w) {
      journal_.fail("I6", "c_W of {} changed while W stood", name->fac);
    }
    tally[Met::unverified] += count && row->unverified && (known == rows_.end() || !known->second.unverified);
    rows_[row_name] = *row;
    if (moved) changed_.insert(row_name);
  } else if (key[0] == 'g') {
    const auto name = cloud::numbered_of('g', key);
    const auto gap = name ? cloud::decode_gap(value, name->seq) : Result<GapRow>(Error{Errc::corrupt, ""});
    if (!gap) return journal_.fail("I5", "a gap row is not as it was written");
    if (gap->kind == GapKind::shed && name->key.stream != StreamId::telemetry) {
      journal_.fail("I10", "a gap SHED was committed in stream {}", egret::name_of(name->key.stream));
    }
    gaps_[{name->fac, name->key}][gap->last] = *gap;
    tally.checked[10]++;
    if (!count) return;
    tally[Met::gap_shed] += gap->kind == GapKind::shed;
    tally[Met::gap_corrupt] += gap->kind == GapKind::corrupt;
    tally[Met::gap_purged] += gap->kind == GapKind::purged;
    tally[Met::gap_parked] += gap->kind == GapKind::parked;
    count_reason(gap->reason);
  } else if (key[0] == 'q') {
    const auto row = cloud::decode_quarantine(value);
    const auto fac = cloud::facility_of('q', key);
    if (row && fac) take_stored(*fac, sha256(row->record), true);
  }
}

void CloudWatch::count_reason(GapReason reason) {
  constexpr Met kReasons[] = {Met::no_reason, Met::disk_budget, Met::unreadable, Met::cloud_restored, Met::frame_too_large,
                              Met::undecodable};
  if (static_cast<size_t>(reason) < std::size(kReasons)) journal_.tally[kReasons[static_cast<size_t>(reason)]]++;
}

void CloudWatch::take_stored(const Facility& fac, const Hash& content, bool aside) {
  journal_.tally.checked[11]++;
  const auto id = history_.id_of_content(fac, content);
  if (!id) return journal_.fail("I11", "the store holds a record that was never offered at {}", fac);
  Fact& fact = history_.fact(*id);
  if (fact.poison != aside) {
    journal_.fail("I5", "record {} of {} is {} and should not be", *id, fac, aside ? "quarantined" : "applied");
  }
  fact.ever = true;
  stored_.insert(*id);
}

bool CloudWatch::names(const Fact& fact) const {
  return std::ranges::any_of(fact.spots, [&](const Spot& spot) {
    return spot.seq <= joint({fact.fac, spot.key}) || has_gap(fact.fac, spot);
  });
}

// The end of the highest gap that was taken without knowing what is below it; 0: there is none.
Seq CloudWatch::joint(const RowName& name) const {
  const auto gaps = gaps_.find(name);
  if (gaps == gaps_.end()) return {};
  for (auto gap = gaps->second.rbegin(); gap != gaps->second.rend(); ++gap) {
    if (gap->second.unverified) return gap->first;
  }
  return {};
}

bool CloudWatch::has_gap(const Facility& fac, const Spot& spot) const {
  const auto gaps = gaps_.find({fac, spot.key});
  if (gaps == gaps_.end()) return false;
  const auto gap = gaps->second.lower_bound(spot.seq);
  return gap != gaps->second.end() && gap->second.first <= spot.seq;
}

void CloudWatch::check_all() {
  for (const auto& [name, row] : rows_) check_chain(name, row);
}

void CloudWatch::check_chain(const RowName& name, const LedgerRow& row) {
  Seq last = row.w;
  Hash c = row.c;
  // A gap with unknown prefix joins two histories: below it stands what was there before.
  while (const auto below = check_from(name, row, last, c)) {
    const auto there = c_stored(name, *below);
    if (!there) return;
    last = *below;
    c = *there;
  }
}

// c at a number as the store has it, whatever stands above.
std::optional<Hash> CloudWatch::c_stored(const RowName& name, Seq at) const {
  if (const auto gaps = gaps_.find(name); gaps != gaps_.end()) {
    if (const auto gap = gaps->second.find(at); gap != gaps->second.end()) return gap->second.c_end;
  }
  const auto& table = disk_.table(cloud::kLeafSpace);
  const auto found = table.find(cloud::numbered_key(name.first, name.second, at));
  const auto leaves = found == table.end() ? Result<cloud::LeafRow>(Error{Errc::not_found, ""}) : cloud::decode_leaves(*found->second);
  return leaves ? std::optional(leaves->c_end) : std::nullopt;
}

// From (last, c) down. What lies below an unverified gap on the way; nullopt: all was seen.
std::optional<Seq> CloudWatch::check_from(const RowName& name, const LedgerRow& row, Seq from, const Hash& c_from) {
  const auto& [fac, key] = name;
  const auto gaps = gaps_.find(name);
  std::optional<Seq> below;
  const bool known = history_.walk(fac, key, from, c_from, [&](Seq last, const Hash& c, const Node& node) {
    if (gaps != gaps_.end()) {
      const auto gap = gaps->second.lower_bound(last);
      if (gap != gaps->second.end() && gap->second.first <= last) {
        check_gap(name, gap->second, node);
        const bool joins = gap->second.unverified && node.first <= gap->second.first;
        if (joins && gap->second.first.value > 1) below = Seq{gap->second.first.value - 1};
        return !joins;
      }
    }
    check_data(name, last, c, node);
    return !journal_.failed();
  });
  if (!known) {
    journal_.fail("I5", "the ledger of {} holds a digest at {} that no edge ever made", fac, row.w.value);
  }
  return below;
}

void CloudWatch::check_data(const RowName& name, Seq last, const Hash& c, const Node& node) {
  const auto& [fac, key] = name;
  const auto& table = disk_.table(cloud::kLeafSpace);
  const auto found = table.find(cloud::numbered_key(fac, key, last));
  const auto leaves = found == table.end() ? Result<cloud::LeafRow>(Error{Errc::not_found, ""})
                                           : cloud::decode_leaves(*found->second);
  if (!leaves || leaves->c_end != c || leaves->leaves.size() != node.count) {
    return journal_.fail("I5", "{} stream {}: W covers {}, and what the store holds there is not what c_W says", fac,
                         egret::name_of(key.stream), last.value);
  }
  journal_.tally.checked[5]++;
  journal_.tally.checked[14]++;
  for (size_t i = 0; i < node.ids.size(); i++) {
    const auto id = history_.id_of_leaf(fac, leaves->leaves[i]);
    if (!id || *id != node.ids[i]) return journal_.fail("I14", "another record stands at {} of {}", last.value, fac);
    if (!stored(*id)) return journal_.fail("I5", "W of {} covers record {}, which is not stored", fac, *id);
  }
  if (node.gap) journal_.fail("I5", "the store says data where {} had a gap", fac);
}

void CloudWatch::check_gap(const RowName& name, const GapRow& gap, const Node& node) {
  for (Id id : node.ids) {
    const Fact& fact = history_.fact(id);
    // PURGED may run over what was another gap before.
    bool lawful = fact.relocated || fact.excused;
    lawful |= (gap.kind == GapKind::shed || gap.kind == GapKind::purged) && fact.shed;
    lawful |= (gap.kind == GapKind::corrupt || gap.kind == GapKind::purged) && fact.spoiled;
    lawful |= gap.kind == GapKind::purged && fact.ever;
    if (!lawful) journal_.fail("I9", "a gap {} of {} covers record {} without a reason", name_of(gap.kind), name.first, id);
  }
}

}  // namespace egret::sim
