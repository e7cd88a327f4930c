// Quality: how a model does, by model, version and site: how much it says, how often it could not grade, how its scores lie
// and whether they have moved, and what people made of it.
// Promises: each result counts once a model, with the highest version that this model made of it and the review that counts;
// numbers alone, no value of one result and no patient; a measure of too few results is none.
// Leaves to others: which results a model made (model_uses.h), what a review means (merge/).
//
// Scores are `prob` in 20 bins of 0.05. Drift compares a site's scores in the asked time with those of a time before, of the same
// model and site: PSI, the sum of (p - q) ln(p / q) over the bins (under 0.1 is taken for none, over 0.25 for a change), and the
// Jensen-Shannon divergence (base 2: 0 to 1). Half a result is added to each bin, so that an empty one says little.
#pragma once

#include <array>
#include <optional>

#include "cloud/recall_report.h"

namespace egret::cloud {

inline constexpr size_t kScoreBins = 20;
inline constexpr uint64_t kDriftResultsMin = 50;  // with a score, on either side
inline constexpr uint64_t kQualityResultsMax = 5'000;  // that one request of the API reads

struct Scores {
  std::array<uint64_t, kScoreBins> bins{};
  uint64_t all() const;
  void add(double prob);
};
// nullopt: too few on a side.
struct Drift {
  double psi = 0, jensen_shannon = 0;
};
std::optional<Drift> drift_between(const Scores& before, const Scores& now);

struct SiteQuality {
  uint64_t results = 0, ungradable = 0, critical = 0, retracted = 0, unread = 0;  // unread: their record is gone
  Scores scores, before;
  std::map<ReviewVerdict, uint64_t> reviews;
  // Of those that a person agreed with, changed or rejected; nullopt: none.
  std::optional<double> agreement() const;
};
struct ModelQuality {
  ModelText model;
  std::map<Facility, SiteQuality> sites;
};
struct QualityAsked {
  RecallAsked of;                        // model, version, from, to, facility
  std::string before_from, before_to;    // what scores are compared with; both empty: nothing
  uint64_t results_max = UINT64_MAX;
};
// Errors: bad_input, too_large (more results than results_max), not_found (no such model), corrupt, store_failed.
Result<std::vector<ModelQuality>> model_quality(const Kv& kv, const QualityAsked& asked);
std::string to_json(const std::vector<ModelQuality>& models);
std::string to_text(const std::vector<ModelQuality>& models);

}  // namespace egret::cloud
