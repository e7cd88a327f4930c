// Progress: how many records a second each facility commits, smoothed over about half a minute.
// Promises: no clock of its own; only facilities that committed something lately are kept.
// Leaves to others: what follows from a rate (facilities).
#pragma once

#include <algorithm>
#include <map>

#include "schemas/types.h"

namespace egret::cloud {

class Progress {
 public:
  void committed(const Facility& fac, uint64_t records) {
    if (records > 0) counts_[fac] += records;
  }
  // To be called every some seconds; the time between two calls is one sample.
  const std::map<Facility, double>& sample(MonoTime now) {
    double seconds = static_cast<double>(std::max<int64_t>(now - last_, 1)) / 1000.0;
    double weight = std::min(1.0, seconds / kMemorySeconds);
    for (const auto& [fac, count] : counts_)
      rates_.try_emplace(fac, static_cast<double>(count) / seconds);
    for (auto it = rates_.begin(); it != rates_.end();) {
      auto counted = counts_.find(it->first);
      double rate = counted == counts_.end() ? 0 : static_cast<double>(counted->second) / seconds;
      it->second += (rate - it->second) * weight;
      it = it->second < kForgotten ? rates_.erase(it) : std::next(it);
    }
    counts_.clear();
    last_ = now;
    return rates_;
  }
  const std::map<Facility, double>& rates() const { return rates_; }

 private:
  static constexpr double kMemorySeconds = 30;
  static constexpr double kForgotten = 0.01;  // records a second
  std::map<Facility, uint64_t> counts_;
  std::map<Facility, double> rates_;
  MonoTime last_;
};

}  // namespace egret::cloud
