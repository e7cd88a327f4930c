#include "tests/sim/edge_watch.h"

#include <algorithm>

#include "edge/block.h"
#include "schemas/chain.h"
#include "schemas/es1.pb.h"

namespace egret::sim {

using edge::BorderRow;
using edge::EpochNo;
using edge::EpochRow;
using edge::StreamRow;

namespace {

bool is_border(const KvOp& op) {
  return op.what == KvOp::What::put && op.space == edge::kMetaSpace && op.key[0] == 'b';
}

// What of a stream's chain lives here and not in another epoch: (from, head].
Seq lives_above(const StreamRow& s) {
  return s.moved ? s.head : s.moving ? s.moved_to : s.purged;
}

}  // namespace

void EdgeWatch::before(const KvBatch& batch) {
  rows_before_ = rows_;
  borders_before_.clear();
  for (const KvOp& op : batch.ops()) {
    if (!is_border(op)) continue;
    const auto it = disk_.table(edge::kMetaSpace).find(op.key);
    if (it == disk_.table(edge::kMetaSpace).end()) continue;
    if (const auto border = edge::decode_border(op.key, *it->second)) borders_before_.emplace(op.key, *border);
  }
}

void EdgeWatch::after(const KvBatch& batch) {
  const std::set<Id> held_before = held_;
  gapped_.clear();
  read_rows();
  for (const auto& [no, row] : rows_) {
    if (rows_before_.contains(no)) continue;
    history_.writers(fac_, row.id).insert(process);
    journal_.tally[Met::epochs]++;
  }
  journal_.tally[Met::finished_epochs] += rows_before_.size() > rows_.size();
  check_placed(placed_in(batch));
  read_held();
  check_lost(held_before);
}

void EdgeWatch::look_anew() {
  read_rows();
  read_held();
}

void EdgeWatch::read_rows() {
  rows_.clear();
  const Bytes first = edge::epoch_key(0), end = edge::after_prefix(first.substr(0, 1));
  (void)disk_.scan(edge::kMetaSpace, first, end, [&](ByteView key, ByteView value) {
    if (auto row = edge::decode_epoch(fac_, value)) rows_.emplace(get_u32(key, 1), std::move(*row));
    return true;
  });
}

void EdgeWatch::read_held() {
  held_.clear();
  for_each_block([&](const PlaceOnDisk& place, const Node& node) {
    if (!damaged(place)) held_.insert(node.ids.begin(), node.ids.end());
  });
  add_parked();
}

bool EdgeWatch::damaged(const PlaceOnDisk& place) const {
  if (disk_.unreadable(place.first, place.second)) return true;
  if (history_.flipped.empty()) return false;
  const auto value = disk_.table(place.first).find(place.second);
  return value != disk_.table(place.first).end() && history_.flipped.contains({fac_, place.first, place.second, *value->second});
}

// The data blocks that borders name and that are still there, spoiled ones too.
void EdgeWatch::for_each_block(const std::function<void(const PlaceOnDisk&, const Node&)>& see) const {
  for (const auto& [no, row] : rows_) {
    for (size_t i = 0; i < kStreamCount; i++) {
      const StreamRow& s = row.streams[i];
      const StreamId stream = StreamId(i);
      const Seq from = lives_above(s);
      if (from >= s.head) continue;
      const Bytes first = edge::border_key(no, stream, from.next());
      const Bytes end = edge::border_key(no, stream, s.head.next());
      (void)disk_.scan(edge::kMetaSpace, first, end, [&, n = no](ByteView key, ByteView value) {
        const auto border = edge::decode_border(key, value);
        if (!border || border->gap != GapKind::none) return true;
        const PlaceOnDisk place{edge::block_space(stream), edge::block_key(n, border->first)};
        if (!disk_.table(place.first).contains(place.second)) return true;
        if (const Node* node = history_.find(fac_, {row.id, stream}, border->last, border->c)) see(place, *node);
        return true;
      });
    }
  }
}

std::vector<Id> EdgeWatch::ids_parked(const Bytes& key, const Bytes& value) {
  const auto parked = edge::decode_parked(key, value);
  if (!parked || !parked->whole) return {};
  const auto open = edge::open_block(parked->block);
  return open ? ids_of_raw(open->raw) : std::vector<Id>{};
}

void EdgeWatch::add_parked() {
  for (const auto& [key, value] : disk_.table(edge::kParkedSpace)) {
    for (Id id : ids_parked(key, *value)) held_.insert(id);
  }
}

std::vector<Id> EdgeWatch::ids_of_raw(ByteView raw) {
  std::vector<Id> ids;
  bool ok = false;
  for (ByteView record : split_records(raw, ok)) {
    const auto id = history_.id_of_leaf(fac_, leaf_of(record));
    if (!id) {
      journal_.fail("I11", "{} holds a record that was never offered there", fac_);
      return {};
    }
    ids.push_back(*id);
  }
  return ids;
}

std::vector<EdgeWatch::Placed> EdgeWatch::placed_in(const KvBatch& batch) const {
  std::vector<Placed> placed;
  for (const KvOp& op : batch.ops()) {
    if (!is_border(op)) continue;
    const auto border = edge::decode_border(op.key, op.value);
    if (border) placed.push_back({get_u32(op.key, 1), StreamId(op.key[5]), *border});
  }
  std::ranges::sort(placed, {}, [](const Placed& p) { return std::tuple(p.no, p.stream, p.border.last); });
  return placed;
}

// What each stream's re-homing took in this batch, in order.
std::map<StreamId, std::vector<EdgeWatch::Taken>> EdgeWatch::taken() {
  std::map<StreamId, std::vector<Taken>> out;
  for (const auto& [no, was] : rows_before_) {
    const auto now = rows_.find(no);
    for (size_t i = 0; i < kStreamCount; i++) {
      const StreamRow& s = was.streams[i];
      const bool gone = now == rows_.end();
      const Seq from = lives_above(s);
      Seq to = from;
      if (gone && finished_stream({was.id, StreamId(i)}).moved()) to = s.head;
      if (!gone && now->second.streams[i].moving) to = now->second.streams[i].moved_to;
      if (!gone && now->second.streams[i].moved) to = s.head;
      if (to <= from) continue;
      std::vector<Taken> items;
      history_.walk(fac_, {was.id, StreamId(i)}, s.head, s.c_head, [&](Seq last, const Hash&, const Node& n) {
        if (last <= to && last > from) items.push_back({n.count, n.ids});
        return n.first.value > from.value + 1;
      });
      std::ranges::reverse(items);
      auto& all = out[StreamId(i)];
      all.insert(all.end(), items.begin(), items.end());
    }
  }
  return out;
}

void EdgeWatch::check_placed(const std::vector<Placed>& placed) {
  auto moved = taken();
  std::map<StreamId, size_t> next;
  std::map<std::pair<EpochNo, StreamId>, std::pair<Seq, Hash>> ends;
  for (const Placed& p : placed) {
    if (p.border.gap == GapKind::shed && p.stream != StreamId::telemetry) {
      journal_.fail("I10", "a gap SHED in stream {} of {}", name_of(p.stream), fac_);
    }
    const Bytes key = edge::border_key(p.no, p.stream, p.border.last);
    if (const auto was = borders_before_.find(key); was != borders_before_.end()) {
      check_gap_in_place(p, was->second);
      continue;
    }
    const auto old = rows_before_.find(p.no);
    const EpochRow fresh = edge::fresh_epoch(fac_, rows_.at(p.no).id);
    const StreamRow& start = (old == rows_before_.end() ? fresh : old->second).at(p.stream);
    auto [end, first] = ends.try_emplace({p.no, p.stream}, start.head, start.c_head);
    journal_.tally.checked[2]++;
    journal_.tally.checked[3]++;
    if (p.border.first != end->second.first.next()) journal_.fail("I3", "a block of {} does not follow the head", fac_);
    if (!history_.writers(fac_, rows_.at(p.no).id).contains(process)) {
      journal_.fail("I2", "a second process appends to an epoch of {}", fac_);
    }
    std::vector<Id> ids;
    if (auto source = moved.find(p.stream); source != moved.end()) {
      const size_t n = next[p.stream]++;
      const bool fits = n < source->second.size() && source->second[n].count == p.border.count;
      if (fits) ids = source->second[n].ids;
      if (!fits) journal_.fail("I9", "re-homing at {} has put another block in the place of one it took", fac_);
    }
    add_node(p, end->second.second, std::move(ids));
    end->second = {p.border.last, p.border.c};
  }
  for (const auto& [stream, items] : moved) {
    if (next[stream] != items.size()) {
      journal_.fail("I9", "re-homing at {} took {} blocks and gaps of stream {} and put back {}", fac_, items.size(),
                    name_of(stream), next[stream]);
    }
  }
}

void EdgeWatch::add_node(const Placed& p, const Hash& before, std::vector<Id> gap_ids) {
  Node node{p.border.first, p.border.count, p.border.gap != GapKind::none, before, std::move(gap_ids)};
  std::vector<Hash> leaves;
  if (!node.gap) {
    const auto& table = disk_.table(edge::block_space(p.stream));
    const auto block = table.find(edge::block_key(p.no, p.border.first));
    const auto open = block == table.end() ? Result<edge::OpenBlock>(Error{Errc::not_found, ""})
                                           : edge::open_block(*block->second, p.border.count);
    if (!open) return journal_.fail("I1", "a block of {} is not on its disk as it was written", fac_);
    node.ids = ids_of_raw(open->raw);
    leaves = open->leaves;
  }
  journal_.tally.checked[1]++;
  journal_.tally.checked[4]++;
  if (chain_extend(before, p.border.first, p.border.count, leaves) != p.border.c) {
    journal_.fail("I4", "the chain of {} breaks at a new border", fac_);
  }
  history_.add(fac_, {rows_.at(p.no).id, p.stream}, p.border.last, p.border.c, std::move(node));
}

void EdgeWatch::check_gap_in_place(const Placed& now, const BorderRow& was) {
  const BorderRow& b = now.border;
  if (b.c != was.c || b.first != was.first || b.count != was.count) {
    journal_.fail("I4", "a border of {} changed when its block became a gap", fac_);
  }
  const auto row = rows_before_.find(now.no);
  if (row == rows_before_.end()) return;
  const Node* node = history_.find(fac_, {row->second.id, now.stream}, b.last, b.c);
  if (node && b.gap == GapKind::shed) gapped_.insert(node->ids.begin(), node->ids.end());
  journal_.tally[Met::corrupt_gaps] += b.gap == GapKind::corrupt;
  if (node && b.gap != GapKind::shed) {  // parked, or re-homed alone; check_lost sees that it lives on
    for (Id id : node->ids) history_.fact(id).relocated = true;
  }
}

// What this write took from the disk must be somewhere else, or have been there, or be telemetry shed by rule.
void EdgeWatch::check_lost(const std::set<Id>& held_before) {
  for (Id id : gapped_) {
    Fact& fact = history_.fact(id);
    (held_.contains(id) ? fact.relocated : fact.shed) = true;
  }
  for (Id id : held_before) {
    if (held_.contains(id) || gapped_.contains(id)) continue;
    Fact& fact = history_.fact(id);
    journal_.tally[Met::purged_records]++;
    if (room_purge) fact.exposed = true;
    if (!fact.ever && fact.accepted) {
      journal_.fail("I9", "record {} was deleted at {} before the cloud ever had it", id, fac_);
    }
  }
}

// A clone's number may be another record's.
bool EdgeWatch::names(const Fact& fact) const {
  for (const Spot& spot : fact.spots) {
    for (const auto& [no, row] : rows_) {
      const edge::StreamRow& s = row.at(spot.key.stream);
      if (row.id == spot.key.epoch && spot.seq <= s.head && history_.holds(fac_, spot.key, s.head, s.c_head, spot.seq, fact)) return true;
    }
    if (spot.seq.value <= finished_stream(spot.key).purged()) return true;
  }
  return false;
}

// As the finished list says; empty when it is not there.
es1::FinishedStream EdgeWatch::finished_stream(StreamKey key) const {
  const auto& meta = disk_.table(edge::kMetaSpace);
  const auto index = meta.find(edge::finished_id_key(key.epoch));
  if (index == meta.end()) return {};
  const auto value = meta.find(edge::finished_key(get_u64(*index->second, 0)));
  if (value == meta.end()) return {};
  const auto finished = edge::decode_finished(*value->second);
  es1::FinishedEpoch entry;
  if (!finished || !entry.ParseFromString(finished->entry)) return {};
  for (const es1::FinishedStream& s : entry.streams()) {
    if (s.stream() == uint32_t(key.stream)) return s;
  }
  return {};
}

bool EdgeWatch::spoil(uint64_t n, uint64_t how) {
  std::vector<std::pair<Space, Bytes>> blocks;
  for (size_t i = 0; i < kStreamCount; i++) {
    for (const auto& [key, value] : disk_.table(edge::block_space(StreamId(i)))) {
      blocks.emplace_back(edge::block_space(StreamId(i)), key);
    }
  }
  // A parked block comes back whole, or as a gap; one that cannot be read at all stays parked, and is listed.
  const bool flips = how % 2 == 1;
  for (const auto& [key, value] : disk_.table(edge::kParkedSpace)) {
    if (flips) blocks.emplace_back(edge::kParkedSpace, key);
  }
  if (blocks.empty()) return false;
  const auto& [space, key] = blocks[n % blocks.size()];
  const std::set<Id> held_before = held_;
  std::vector<Id> parked_ids;
  if (space == edge::kParkedSpace) parked_ids = ids_parked(key, *disk_.table(space).at(key));
  if (!flips) {
    disk_.make_unreadable(space, key);
  } else {
    disk_.flip_bit(space, key, how / 2);
    history_.flipped.insert({fac_, space, key, *disk_.table(space).at(key)});
  }
  for_each_block([&](const PlaceOnDisk& place, const Node& node) {
    if (place != PlaceOnDisk(space, key)) return;
    for (Id id : node.ids) history_.fact(id).spoiled = true;
  });
  for (Id id : parked_ids) history_.fact(id).spoiled = true;
  read_held();
  for (Id id : held_before) {
    if (!held_.contains(id)) history_.fact(id).damaged = true;
  }
  return true;
}

}  // namespace egret::sim
