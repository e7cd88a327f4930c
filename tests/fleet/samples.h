// Samples: what the clinics of a fleet say, made of real samples: results of models, reviews of them, telemetry.
// Promises: each statement is new (its own run, its own id) and of the moment that is asked for; the same chance gives the same
// statements; what is broken on purpose is broken by one rule that the region checks, and all else keeps the rules.
// Leaves to others: choosing the samples (the folder: a file a model version, telemetry.ndjson), who says what and when.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "edge/buffer.h"
#include "schemas/record.pb.h"

namespace egret {

class Samples {
 public:
  // MODEL.ndjson: its model_def, then results; telemetry.ndjson: requests of telemetry, "@MS@" for the time. Throws on what cannot be read.
  explicit Samples(const std::filesystem::path& folder);

  // How people judge what a model says, as shares of its results.
  struct Judged {
    double reviewed = 0, rejected = 0;  // rejected: of those that are reviewed
  };
  enum class How : uint8_t { usual, critical, broken };

  bool knows(const std::string& model) const { return models_.contains(model); }
  edge::LaneRecord definition(const std::string& model, const Facility& fac, WallTime at) const;
  // The result, and what a person says of it.
  std::vector<edge::LaneRecord> result(const std::string& model, const Facility& fac, WallTime at, How how, const Judged& judged, Entropy& chance) const;
  std::vector<edge::LaneRecord> telemetry(const Facility& fac, WallTime at, Entropy& chance) const;

 private:
  struct Model {
    v1::Body definition;
    std::string ref;
    std::vector<v1::Body> results;
  };
  std::map<std::string, Model> models_;
  std::vector<std::string> telemetry_;
};

// 0 to 1.
double share_of(Entropy& chance);

}  // namespace egret
