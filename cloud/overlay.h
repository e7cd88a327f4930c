// Overlay: what a transaction has written but not committed, over a Kv.
// Promises: reads and scans see it as if it were written; what follows a savepoint can be taken
// back alone; it becomes one batch in the order of keys, without copying a byte. Leaves to others:
// what keys mean (tables.h), committing (store_kv).
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "schemas/kv.h"

namespace egret::cloud {

class Overlay {
 public:
  Overlay(const Kv& kv, Space spaces) : kv_(kv), tables_(spaces) {}

  Result<std::optional<Bytes>> get(Space space, ByteView key) const;
  void put(Space space, Bytes key, Bytes value) { set(space, std::move(key), std::move(value)); }
  void erase(Space space, Bytes key) { set(space, std::move(key), std::nullopt); }
  // What the Kv has, whatever was written since: the half of a get() that any thread may do.
  Result<std::optional<Bytes>> below(Space space, ByteView key) const {
    return kv_.get(space, key);
  }
  // Puts `value` unless the key is there already, which is then the answer. `below`: what the Kv has.
  std::optional<Bytes> get_or_put(Space space, Bytes key, Bytes value, std::optional<Bytes> below);
  // Keys that begin with `prefix`, from `first` on (which begins with it too, or is empty), in
  // order, until `visit` says false.
  Result<void> scan(Space space, const Bytes& prefix, ByteView first, const Kv::Visit& visit) const;

  void savepoint();
  void rollback_to_savepoint();
  // Everything as one batch; the overlay is spent.
  KvBatch take();

 private:
  // nullopt: erased.
  using Table = std::map<Bytes, std::optional<Bytes>, std::less<>>;
  struct Undo {
    Space space;
    Table::iterator at;
    bool fresh;  // the key was not in the overlay
    std::optional<Bytes> before;
  };
  void set(Space space, Bytes key, std::optional<Bytes> value);

  const Kv& kv_;
  std::vector<Table> tables_;
  std::vector<Undo> undo_;
  bool undoing_ = false;  // a savepoint was set
};

}  // namespace egret::cloud
