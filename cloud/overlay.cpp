#include "cloud/overlay.h"

#include "cloud/tables.h"

namespace egret::cloud {

Result<std::optional<Bytes>> Overlay::get(Space space, ByteView key) const {
  const Table& table = tables_[space];
  if (const auto it = table.find(key); it != table.end()) return it->second;
  return kv_.get(space, key);
}

std::optional<Bytes> Overlay::get_or_put(Space space, Bytes key, Bytes value,
                                         std::optional<Bytes> below) {
  Table& table = tables_[space];
  const auto at = table.lower_bound(key);
  if (at != table.end() && at->first == key) {
    if (at->second) return at->second;
    set(space, std::move(key), std::move(value));
    return std::nullopt;
  }
  if (below) return below;
  const auto it = table.emplace_hint(at, std::move(key), std::move(value));
  if (undoing_) undo_.push_back({space, it, true, {}});
  return std::nullopt;
}

void Overlay::set(Space space, Bytes key, std::optional<Bytes> value) {
  const auto [it, fresh] = tables_[space].try_emplace(std::move(key));
  if (undoing_) undo_.push_back({space, it, fresh, std::move(it->second)});
  it->second = std::move(value);
}

Result<void> Overlay::scan(Space space, const Bytes& prefix, ByteView first,
                           const Kv::Visit& visit) const {
  const Bytes end = after_prefix(prefix);
  if (first.empty()) first = prefix;
  const Table& table = tables_[space];
  auto mine = table.lower_bound(first);
  const auto mine_end = table.lower_bound(end);
  bool go_on = true;
  const auto visit_mine = [&] {
    if (mine->second) go_on = visit(mine->first, *mine->second);
    ++mine;
  };
  auto scanned = kv_.scan(space, first, end, [&](ByteView key, ByteView value) {
    while (go_on && mine != mine_end && ByteView(mine->first) < key) visit_mine();
    if (!go_on) return false;
    if (mine != mine_end && mine->first == key) {
      visit_mine();
    } else {
      go_on = visit(key, value);
    }
    return go_on;
  });
  if (!scanned) return scanned;
  while (go_on && mine != mine_end) visit_mine();
  return {};
}

void Overlay::savepoint() {
  undo_.clear();
  undoing_ = true;
}

void Overlay::rollback_to_savepoint() {
  for (; !undo_.empty(); undo_.pop_back()) {
    Undo& undo = undo_.back();
    if (undo.fresh) {
      tables_[undo.space].erase(undo.at);
    } else {
      undo.at->second = std::move(undo.before);
    }
  }
}

KvBatch Overlay::take() {
  KvBatch batch;
  for (size_t i = 0; i < tables_.size(); ++i) {
    const auto space = static_cast<Space>(i);
    Table& table = tables_[i];
    while (!table.empty()) {
      auto node = table.extract(table.begin());
      if (node.mapped()) {
        batch.put(space, std::move(node.key()), std::move(*node.mapped()));
      } else {
        batch.erase(space, std::move(node.key()));
      }
    }
  }
  undo_.clear();
  undoing_ = false;
  return batch;
}

}  // namespace egret::cloud
