// Orders: what the region itself decides about results, kept beside the records: recalls of a model, and that one is
// undone. Table 'v' of space 0 (tables.h): rows are added and never changed, so they say who did what, when and why.
// Promises: one synced write makes or undoes a recall, whatever it touches; views that are made anew see the same orders.
// Leaves to others: which results a recall touches (merge/recall.h, model_uses.h).
//
//   'v' number u64     kind u8, at i64, by text, reason text; of a recall: count u8, models 32 each, from i64, to i64,
//                      facility text, model text, version text; of one undone: its number u64
#pragma once

#include "cloud/merge/recall.h"
#include "cloud/tables.h"

namespace egret::cloud {

struct Order {
  enum class Kind : uint8_t { recall = 1, undo = 2 };  // on disk
  uint64_t id = 0;  // given by the store
  Kind kind = Kind::recall;
  WallTime at;
  std::string by, reason;
  RecallScope scope;                    // of a recall
  std::string model, version;           // as they were asked for
  uint64_t undoes = 0;                  // of one undone
};

inline constexpr size_t kOrderModels = 255;
inline constexpr size_t kOrderTextBytes = 512;

// Errors: corrupt, store_failed.
Result<std::vector<Order>> orders(const Kv& kv);
Result<std::vector<Recall>> recalls(const Kv& kv);
std::vector<Recall> recalls_in(std::span<const Order> orders);
// Adds one; its id is the answer. One writer at a time. Errors: bad_input (no model, too many, a text too long, an empty
// range, a recall that is not there or is undone already), corrupt, store_failed.
Result<uint64_t> add_order(Kv& kv, Order order);

std::string to_json(const Order& order, bool undone);

}  // namespace egret::cloud
