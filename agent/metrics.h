// Metrics: what a site's agent counts, for Prometheus and OTLP: one list made of the same facts as the status.
// Promises: what the agent promises (accepted, shed, refused) is counted over restarts; a label comes from a closed list, so
// the number of series is fixed; no patient data. Leaves to others: collecting the facts (daemon), both forms (schemas/metrics).
#pragma once

#include "agent/status.h"
#include "schemas/metrics.h"
#include "schemas/otlp_push.h"

namespace egret::agent {

// Beside the facts of the status.
struct MetricFacts {
  Histogram commit_seconds;  // one group: written and synced
  Histogram accept_seconds;  // one request: from the queue to its answer
  bool clock_synced = false;
  int64_t clock_error_ms = 0;
  std::optional<int64_t> certificate_end;  // Unix seconds
  OtlpPush::Counters otlp;
};

MetricList metrics_of(const StatusFacts& status, const MetricFacts& facts);

}  // namespace egret::agent
