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
//   '?' fac id 16                a result of which something was erased: to be looked at again
//   'd' 'm' 'n' 'x'              models and what they made: see model_uses.h
//   'i' 's'                      patients: see patients.h
//   'k' 'u' 'D'                  results by code and by run, definitions of models: see result_index.h
//   'f' 't'                      resources that FHIR clients wrote: see fhir/shelf.h
//   'g'                          live values of telemetry: see gauges.h
//   'V' 'v'                      records by day: see volumes.h
//   'A'                          alerts to be looked at: see alerts.h
#pragma once

#include "cloud/merge/read.h"
#include "cloud/merge/result.h"
#include "cloud/tables.h"

namespace egret::cloud {

inline constexpr uint32_t kViewsFormat = 4;

struct ViewsState {
  uint32_t format = kViewsFormat;
  uint64_t done = 0;  // of the feed
  Bytes next_block;   // empty: every block has been seen
};

// A statement, who made it, and where its body is among that facility's.
struct PlacedStatement {
  Statement statement;
  Place place;
  Facility by;
};
const Hash& body_of(const Statement& statement);
Kind kind_of(const Statement& statement);  // of the record that made it

struct ResultRow {
  uint64_t changed = 0;
  std::vector<PlacedStatement> statements;  // each body once

  // False: it was there.
  bool add(const Statement& statement, const Place& place, const Facility& by);
  ResultView view() const;
  std::vector<Statement> all() const;
  // The statement with this body; nullptr: not among them.
  const PlacedStatement* find(const Hash& body) const;
};

Bytes views_state_key();
Bytes rebuild_asked_key();
Bytes result_key(const ResultName& name);
Bytes alert_key(AlertState state, const ResultName& name);
Bytes worklist_key(const ResultName& name);
Bytes look_again_key(const ResultName& name);
// What a key of the tables 'r', 'a', 'w', '?' names; nullopt when it has another form.
std::optional<ResultName> result_of(char table, ByteView key);

Bytes encode(const ViewsState& row);
Result<ViewsState> decode_views_state(ByteView value);
Bytes encode(const ResultRow& row);
Result<ResultRow> decode_result(ByteView value);
void put_name(Bytes& out, const ResultName& name);
// The reverse; nullopt: it is none.
std::optional<ResultName> name_in(ByteView bytes);
// A row of a view that cannot be read.
Error damaged_view();
// One statement as it is stored, whoever made it and wherever it is.
Bytes encode(const Statement& statement);

// nullopt: nothing was ever said of it. Errors: corrupt, store_failed.
Result<std::optional<ResultRow>> find_result(const Kv& kv, const ResultName& name);

}  // namespace egret::cloud
