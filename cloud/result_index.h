// ResultIndex: which results may be shown, by what was asked and when, and which one run of a model made: tables of space 5.
// Promises: every row follows from one result's statements alone; what may not be shown (retracted, or nothing current) is in
// no table that is searched. Leaves to others: by patient (patients.h), by model (model_uses.h), values.
//
//   'k' code 8 t i64 fac id 16      a result that may be shown, by each code that its version has (hash_of_code), by the
//                                   model that made it (the first 8 bytes of its name), and once more (zeros), at the time
//                                   that it is about
//   'u' fac run 16 id 16            a result with a version that this run made
//   'D' model 32                    a model's definition: the bytes that its name is the hash of
#pragma once

#include <functional>

#include "cloud/view_tables.h"

namespace egret::v1 {  // generated: schemas/record.pb.h
class ModelDef;
}  // namespace egret::v1

namespace egret::cloud {

inline constexpr CodeHash kEveryCode{};
inline CodeHash code_of_model(const Hash& model) {
  return take<sizeof(CodeHash)>(view(model));
}

// The version that is shown, or would be if the result were not taken back. nullptr: there is none.
const PlacedStatement* shown_version(const ResultRow& row, const ResultView& view);

struct IndexedRow {
  const ResultRow& row;
  const ResultView& view;
};
void change_index(const ResultName& name, const IndexedRow& before, const IndexedRow& after, KvBatch& batch);
void put_definition(KvBatch& batch, const v1::ModelDef& model);
// The message's bytes; nullopt: it never came.
Result<std::optional<Bytes>> find_definition(const Kv& kv, const Hash& model);

// A place in the table 'k' of one code: where a walk goes on.
struct CodedPlace {
  int64_t t_us = 0;
  ResultName name;
  auto operator<=>(const CodedPlace&) const = default;
};
struct CodedRange {
  CodeHash code{};
  int64_t from_us = INT64_MIN, to_us = INT64_MAX;  // [from, to)
  bool newest_first = false;
  std::optional<CodedPlace> after;                 // goes on behind it
};
// Until `each` returns false. Errors: corrupt, store_failed.
Result<void> each_coded(const Kv& kv, const CodedRange& range, const std::function<bool(const CodedPlace&)>& each);
// The results of a run, by id; none: nobody knows it.
Result<std::vector<ResultName>> results_of_run(const Kv& kv, const Facility& fac, const Uuid& run);
// Each run once, in the order of facility and id, behind `after`.
struct RunName {
  Facility fac;
  Uuid run{};
  auto operator<=>(const RunName&) const = default;
};
Result<void> each_run(const Kv& kv, const std::optional<RunName>& after, const std::function<bool(const RunName&)>& each);

}  // namespace egret::cloud
