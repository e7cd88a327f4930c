// ModelUses: which results a model made, and how many of each kind, by model, time and site: tables of space 5.
// Promises: what is counted over a range is what walking it would count; a result is one, however many versions of it
// one model made. Leaves to others: what a model is recalled for (orders.h), what a result is (merge/).
//
//   'd' model 32                 what a model calls itself: model id text, vendor text, name text, version text
//   'm' model 32 t i64 fac id 16 a result with a version that this model made, at the first time that such a version is
//                                effective: facets, 3 bytes
//   'x' model 32 t i64 fac id 16 the same at each later such time: facets 3 bytes, the first time i64
//   'b' fac id 16              a result with versions of several models
//   'n' model 32 day i64 fac     rows of 'm' of that day (UTC) by facets: for each, facets 3 bytes, how many u64
#pragma once

#include <functional>
#include <map>

#include "cloud/merge/recall.h"
#include "cloud/view_tables.h"

namespace egret::cloud {

// What results are counted by.
struct Facets {
  ResultStatus status = ResultStatus::unknown;
  uint8_t verdict = 0;  // ReviewVerdict of the review that counts; 0: none
  bool critical = false, retracted = false;
  auto operator<=>(const Facets&) const = default;
};
Facets facets_of(const ResultView& view);

// What changed in one step of the Follower.
class ModelUses {
 public:
  explicit ModelUses(const Kv& kv) : kv_(kv) {}
  // A result as it was and as it is, each with its view.
  struct Seen {
    const ResultRow& row;
    const ResultView& view;
  };
  void change(const ResultName& name, const Seen& before, const Seen& after, KvBatch& batch);
  // Errors: corrupt, store_failed.
  Result<void> write_counts(KvBatch& batch);
  void begin_anew() { counts_.clear(); }

 private:
  const Kv& kv_;
  std::map<Bytes, std::map<Facets, int64_t>> counts_;  // by key of 'n'
};

// What a model calls itself.
struct ModelText {
  Hash ref{};
  std::string model_id, vendor, name, version;
};
void put_model(KvBatch& batch, const ModelText& model);
std::string to_json(const ModelText& model);
// All that were described. Errors: corrupt, store_failed.
Result<std::vector<ModelText>> models(const Kv& kv);
// Models whose id, name or reference (64 hex digits) is `model`, of `version`; empty: of any. A reference is found even
// when its definition never came. Errors: corrupt, store_failed.
Result<std::vector<ModelText>> find_models(const Kv& kv, const std::string& model, const std::string& version);

struct Touched {
  std::map<Facets, uint64_t> by_facets;
  uint64_t all() const;
};
using UsesProgress = std::function<void(uint64_t done, uint64_t all)>;
// Results that the scope touches, by site. Errors: corrupt, store_failed.
Result<std::map<Facility, Touched>> count_uses(const Kv& kv, const RecallScope& scope, const UsesProgress& progress = {});
// Each of them once, in the order of model and time, until `each` returns false.
Result<void> each_use(const Kv& kv, const RecallScope& scope, const std::function<bool(const ResultName&)>& each);

}  // namespace egret::cloud
