#include "tests/sim/history.h"

#include <algorithm>

#include "schemas/chain.h"

namespace egret::sim {

Id History::offer(const Facility& fac, const NaturalKey& key, bool poison) {
  const auto [it, fresh] = contents_.try_emplace({fac, key.content}, facts());
  if (fresh) {
    Fact fact;
    fact.fac = fac;
    fact.key = key;
    fact.poison = poison;
    facts_.push_back(std::move(fact));
  }
  return it->second;
}

std::optional<Id> History::id_of_leaf(const Facility& fac, const Hash& leaf) const {
  const auto it = leaves_.find({fac, leaf});
  return it == leaves_.end() ? std::nullopt : std::optional(it->second);
}

std::optional<Id> History::id_of_content(const Facility& fac, const Hash& content) const {
  const auto it = contents_.find({fac, content});
  return it == contents_.end() ? std::nullopt : std::optional(it->second);
}

void History::add(const Facility& fac, StreamKey key, Seq last, const Hash& c, Node node) {
  for (size_t i = 0; i < node.ids.size(); i++) fact(node.ids[i]).spots.insert({key, node.first + i});
  nodes_.insert_or_assign({fac, key, last, c}, std::move(node));
}

const Node* History::find(const Facility& fac, StreamKey key, Seq last, const Hash& c) const {
  const auto it = nodes_.find({fac, key, last, c});
  return it == nodes_.end() ? nullptr : &it->second;
}

std::optional<Hash> History::whole(const Facility& fac, StreamKey key, Seq last, ByteView wire) const {
  if (last.value == 0) {
    const Hash start = chain_start(fac, key);
    return view(start).substr(0, wire.size()) == wire ? std::optional(start) : std::nullopt;
  }
  Hash low{};
  std::memcpy(low.data(), wire.data(), std::min(wire.size(), low.size()));
  const auto it = nodes_.lower_bound({fac, key, last, low});
  if (it == nodes_.end()) return std::nullopt;
  const auto& [f, k, l, c] = it->first;
  const bool same = f == fac && k == key && l == last && view(c).substr(0, wire.size()) == wire;
  return same ? std::optional(c) : std::nullopt;
}

bool History::walk(const Facility& fac, StreamKey key, Seq last, Hash c, const See& see) const {
  while (last.value > 0) {
    const Node* node = find(fac, key, last, c);
    if (!node) return false;
    if (!see(last, c, *node)) return true;
    last = {node->first.value - 1};
    c = node->before;
  }
  return c == chain_start(fac, key);
}

std::optional<Hash> History::c_at(const Facility& fac, StreamKey key, Seq last, const Hash& c,
                                  Seq at) const {
  if (at == last) return c;
  std::optional<Hash> found;
  walk(fac, key, last, c, [&](Seq, const Hash&, const Node& node) {
    if (node.first.value - 1 == at.value) found = node.before;
    return !found && node.first > at;
  });
  return found;
}

bool History::holds(const Facility& fac, StreamKey key, Seq last, const Hash& c, Seq at, const Fact& fact) const {
  bool other = false;
  walk(fac, key, last, c, [&](Seq, const Hash&, const Node& node) {
    if (node.first > at) return true;
    other = std::ranges::none_of(node.ids, [&](Id id) { return &facts_[id] == &fact; });
    return false;
  });
  return !other;
}

void History::clone_writer(uint64_t from, uint64_t to) {
  for (auto& [epoch, writers] : writers_) {
    if (writers.contains(from)) writers.insert(to);
  }
}

}  // namespace egret::sim
