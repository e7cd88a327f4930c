// ViewTables: the rows and keys of space 5, what is derived from committed records: the format on disk.
// Promises: what encode wrote, decode reads; a row of another length is corrupt, never half read.
// A change of a row is a new kViewsFormat: then everything here is thrown away and made anew from the blocks.
// Leaves to others: making them (follower.h), what they mean (merge/).
//
//   'c'                          how far the views are: format u32, feed number u64, key of the block that is next while
//                                they are made anew (empty: done)
//   '!'                          somebody wants them made anew
//   'r' fac id 16                a result: feed number of its last change u64, count u32, statements
//   'a' state u8 fac id 16       an alert that is open (1) or withdrawn (2): feed number of the change u64
//   'w' fac id 16                a result with issues: how many u32
//   'm' model 32 t i64 fac id 16 a version that this model made, by when it is effective: version u32
#pragma once

#include "cloud/merge/read.h"
#include "cloud/merge/result.h"
#include "cloud/tables.h"

namespace egret::cloud {

inline constexpr uint32_t kViewsFormat = 1;

struct ViewsState {
  uint32_t format = kViewsFormat;
  uint64_t done = 0;  // of the feed
  Bytes next_block;   // empty: every block has been seen
};

// A statement, and where its body is.
struct PlacedStatement {
  Statement statement;
  Place place;
};

struct ResultRow {
  uint64_t changed = 0;
  std::vector<PlacedStatement> statements;  // each body once

  // False: it was there.
  bool add(const Statement& statement, const Place& place);
  ResultView view() const;
  // Where the record with this body is; nullptr: not among the statements.
  const Place* place_of(const Hash& body) const;
};

Bytes views_state_key();
Bytes rebuild_asked_key();
Bytes result_key(const ResultName& name);
Bytes alert_key(AlertState state, const ResultName& name);
Bytes worklist_key(const ResultName& name);
Bytes model_use_key(const Hash& model, int64_t t_us, const ResultName& name);
// What a key of the tables 'r', 'a', 'w' names; nullopt when it has another form.
std::optional<ResultName> result_of(char table, ByteView key);

Bytes encode(const ViewsState& row);
Result<ViewsState> decode_views_state(ByteView value);
Bytes encode(const ResultRow& row);
Result<ResultRow> decode_result(ByteView value);

// nullopt: nothing was ever said of it. Errors: corrupt, store_failed.
Result<std::optional<ResultRow>> find_result(const Kv& kv, const ResultName& name);

}  // namespace egret::cloud
