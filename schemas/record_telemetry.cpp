#include "schemas/record_telemetry.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

#include "schemas/limits.h"
#include "schemas/record_rules.h"
#include "schemas/record_text.h"

namespace egret {
namespace {

using v1::Series;

// By bits: 0.0 and -0.0 would else be kept by chance of order.
bool same(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}
bool same(int64_t a, int64_t b) {
  return a == b;
}
bool same(const std::string& a, const std::string& b) {
  return a == b;
}
template <class Message>
bool same(const Message& a, const Message& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

void add_value(Series& to, double v) {
  to.add_f64(v);
}
void add_value(Series& to, int64_t v) {
  to.add_i64(v);
}
void add_value(Series& to, std::string&& v) {
  to.add_state(std::move(v));
}
void add_value(Series& to, v1::Histogram&& v) {
  to.add_histogram()->Swap(&v);
}
void add_value(Series& to, v1::ExpHistogram&& v) {
  to.add_exp_histogram()->Swap(&v);
}

template <class Value>
Result<void> write_columns(Series& series, std::vector<TimedPoint<Value>>& points) {
  // Equal times end the function or are the same point: their order says nothing.
  std::sort(points.begin(), points.end(),
            [](const auto& a, const auto& b) { return a.t_ns < b.t_ns; });
  const bool flagged =
      std::any_of(points.begin(), points.end(), [](const auto& p) { return p.flags != 0; });
  const TimedPoint<Value>* before = nullptr;
  uint64_t at = 0;
  for (auto& p : points) {
    if (before != nullptr && before->t_ns == p.t_ns) {
      if (same(before->value, p.value) && before->flags == p.flags) continue;
      return Error{Errc::bad_input, "points: two different points at one time, allowed one"};
    }
    series.add_t_ns(p.t_ns - at);
    at = p.t_ns;
    before = &p;
    add_value(series, Value(p.value));
    if (flagged) series.add_flags(p.flags);
  }
  return {};
}

Error wrong(std::string text) {
  return {Errc::bad_input, std::move(text)};
}

// How many values the column that this kind of series uses has; all others must be empty.
Result<int> values_of(const Series& s) {
  const int columns[] = {s.f64_size(), s.i64_size(), s.histogram_size(), s.exp_histogram_size(),
                         s.state_size()};
  int sum = 0;
  int used = 0;
  switch (s.kind()) {
    case Series::SERIES_KIND_GAUGE:
    case Series::SERIES_KIND_SUM:
      used = std::max(columns[0], columns[1]);
      break;
    case Series::SERIES_KIND_HISTOGRAM:
      used = columns[2];
      break;
    case Series::SERIES_KIND_EXP_HISTOGRAM:
      used = columns[3];
      break;
    default:
      used = columns[4];
  }
  for (const int size : columns) sum += size;
  if (sum != used) return wrong("points: values of another kind of series");
  return used;
}

Result<void> check_times(const Series& s) {
  const auto& rule = rules_of<Series>().find("start_ns")->rule.range();
  uint64_t at = 0;
  for (int i = 0; i < s.t_ns_size(); ++i) {
    if (i > 0 && s.t_ns(i) == 0)
      return wrong(fmt::format("points[{}]: the time of the one before", i));
    if (s.t_ns(i) > static_cast<uint64_t>(rule.max()) - at) {
      return wrong(fmt::format("points[{}]: time in ns since 1970, allowed to the year 2200", i));
    }
    at += s.t_ns(i);
  }
  return {};
}

Result<void> check_flags(const Series& s) {
  if (s.flags_size() == 0) return {};
  if (s.flags_size() != s.t_ns_size()) return wrong("points: flags of some points only");
  if (std::none_of(s.flags().begin(), s.flags().end(), [](uint32_t f) { return f != 0; })) {
    return wrong("points: flags that say nothing: the body was not made by these rules");
  }
  for (int i = 0; i < s.flags_size(); ++i) {
    if (s.flags(i) > 7) return wrong(fmt::format("points[{}]: unknown flags", i));
  }
  return {};
}

// A point of no value is written in one way only.
template <class Column, class IsNothing>
Result<void> check_nothing(const Series& s, const Column& column, IsNothing is_nothing) {
  for (int i = 0; i < std::min(s.flags_size(), column.size()); ++i) {
    if ((s.flags(i) & Series::FLAG_NO_RECORDED_VALUE) != 0 && !is_nothing(column.Get(i))) {
      return wrong(fmt::format("points[{}]: a value, but the flag no_recorded_value", i));
    }
  }
  return {};
}

bool recorded(const Series& s, int i) {
  return i >= s.flags_size() || (s.flags(i) & Series::FLAG_NO_RECORDED_VALUE) == 0;
}

Result<void> check_buckets(const v1::Histogram& h, int i) {
  if (h.counts_size() != h.bounds_size() + 1) {
    return wrong(fmt::format("points[{}].counts: {} buckets, allowed one more than bounds", i,
                             h.counts_size()));
  }
  for (int k = 1; k < h.bounds_size(); ++k) {
    if (!(h.bounds(k - 1) < h.bounds(k)))
      return wrong(fmt::format("points[{}].bounds: must rise", i));
  }
  return {};
}

Result<void> check_point_message(const google::protobuf::Message& message, int i) {
  Fault fault;
  if (check_message(message, rules_of(message.GetDescriptor()), fault)) return {};
  fault.within("points", static_cast<size_t>(i));
  return fault.error();
}

Result<void> check_values(const Series& s) {
  for (int i = 0; i < s.f64_size(); ++i) {
    if (!std::isfinite(s.f64(i))) return wrong(fmt::format("points[{}]: not a finite number", i));
  }
  for (int i = 0; i < s.histogram_size(); ++i) {
    if (!recorded(s, i)) continue;
    if (auto checked = check_point_message(s.histogram(i), i); !checked) return checked;
    if (auto checked = check_buckets(s.histogram(i), i); !checked) return checked;
  }
  for (int i = 0; i < s.exp_histogram_size(); ++i) {
    if (!recorded(s, i)) continue;
    if (auto checked = check_point_message(s.exp_histogram(i), i); !checked) return checked;
  }
  const FieldRules& state = *rules_of<Series>().find("state");
  for (int i = 0; i < s.state_size(); ++i) {
    Fault fault;
    if (!recorded(s, i) || check_bytes(state, s.state(i), fault)) continue;
    fault.within("points", static_cast<size_t>(i));
    return fault.error();
  }
  return {};
}

Result<void> check_all_nothing(const Series& s) {
  const auto empty = [](const auto& message) { return message.ByteSizeLong() == 0; };
  if (auto r = check_nothing(s, s.f64(), [](double v) { return v == 0; }); !r) return r;
  if (auto r = check_nothing(s, s.i64(), [](int64_t v) { return v == 0; }); !r) return r;
  if (auto r = check_nothing(s, s.state(), [](const std::string& v) { return v.empty(); }); !r)
    return r;
  if (auto r = check_nothing(s, s.histogram(), empty); !r) return r;
  return check_nothing(s, s.exp_histogram(), empty);
}

// Never less than the point adds to a body.
size_t cost_of(const Series& s, int i) {
  constexpr size_t kTimeBytes = 10, kNumberBytes = 10, kFlagBytes = 1, kItemBytes = 6;
  size_t value = kNumberBytes;
  if (s.histogram_size() > 0) value = s.histogram(i).ByteSizeLong() + kItemBytes;
  if (s.exp_histogram_size() > 0) value = s.exp_histogram(i).ByteSizeLong() + kItemBytes;
  if (s.state_size() > 0) value = s.state(i).size() + kItemBytes;
  return kTimeBytes + kFlagBytes + value;
}

// The columns' tags and lengths, and the series' own.
constexpr size_t kColumnsOverheadBytes = 32;

void copy_point(const Series& from, int i, uint64_t step, Series& to) {
  to.add_t_ns(step);
  if (from.f64_size() > 0) to.add_f64(from.f64(i));
  if (from.i64_size() > 0) to.add_i64(from.i64(i));
  if (from.histogram_size() > 0) *to.add_histogram() = from.histogram(i);
  if (from.exp_histogram_size() > 0) *to.add_exp_histogram() = from.exp_histogram(i);
  if (from.state_size() > 0) to.add_state(from.state(i));
  if (from.flags_size() > 0) to.add_flags(from.flags(i));
}

Series descriptor_of(const Series& s) {
  Series d = s;
  d.clear_t_ns();
  d.clear_f64();
  d.clear_i64();
  d.clear_histogram();
  d.clear_exp_histogram();
  d.clear_state();
  d.clear_flags();
  return d;
}

// Fills one body after the other; a body is closed when the next point might not fit.
class Cutter {
 public:
  Cutter(const v1::Body& whole, const Facility& fac) : fac_(fac), empty_(whole) {
    empty_.mutable_telemetry_batch()->clear_series();
    empty_.set_facility_id(fac);
    start();
  }

  Result<void> add(const Series& series) {
    const Series descriptor = descriptor_of(series);
    const size_t head = descriptor.ByteSizeLong() + kColumnsOverheadBytes;
    Series* open = nullptr;
    uint64_t at = 0;
    uint64_t before = 0;  // time of the last point in `open`
    for (int i = 0; i < series.t_ns_size(); ++i) {
      at += series.t_ns(i);
      const size_t cost = cost_of(series, i);
      if (used_ + cost + (open == nullptr ? head : 0) > kTelemetryBodyBytesMax &&
          batch().series_size() > 0) {
        if (auto closed = close(); !closed) return closed;
        open = nullptr;
      }
      if (open == nullptr) {
        open = batch().add_series();
        *open = descriptor;
        used_ += head;
        before = 0;
      }
      copy_point(series, i, at - before, *open);
      before = at;
      used_ += cost;
    }
    return {};
  }

  Result<std::vector<NewBody>> finish() {
    if (batch().series_size() > 0) {
      if (auto closed = close(); !closed) return closed.error();
    }
    return std::move(bodies_);
  }

 private:
  v1::TelemetryBatch& batch() { return *body_.mutable_telemetry_batch(); }

  void start() {
    body_ = empty_;
    used_ = body_.ByteSizeLong() + kColumnsOverheadBytes;
  }

  Result<void> close() {
    // A column that is all flags 0 in this piece says nothing here.
    for (auto& series : *batch().mutable_series()) {
      if (std::none_of(series.flags().begin(), series.flags().end(),
                       [](uint32_t f) { return f != 0; }))
        series.clear_flags();
    }
    auto made = make_body(body_, fac_);
    if (!made) return made.error();
    bodies_.push_back(std::move(*made));
    start();
    return {};
  }

  const Facility& fac_;
  v1::Body empty_;
  v1::Body body_;
  size_t used_ = 0;
  std::vector<NewBody> bodies_;
};

}  // namespace

Result<void> set_points(Series& series, std::vector<TimedPoint<double>> points) {
  return write_columns(series, points);
}
Result<void> set_points(Series& series, std::vector<TimedPoint<int64_t>> points) {
  return write_columns(series, points);
}
Result<void> set_points(Series& series, std::vector<TimedPoint<v1::Histogram>> points) {
  return write_columns(series, points);
}
Result<void> set_points(Series& series, std::vector<TimedPoint<v1::ExpHistogram>> points) {
  return write_columns(series, points);
}
Result<void> set_points(Series& series, std::vector<TimedPoint<std::string>> points) {
  return write_columns(series, points);
}

Result<void> check_columns(const Series& series) {
  if (series.t_ns_size() == 0) return wrong("points: missing");
  const auto values = values_of(series);
  if (!values) return values.error();
  if (*values != series.t_ns_size()) {
    return wrong(fmt::format("points: {} values for {} times", *values, series.t_ns_size()));
  }
  if (auto r = check_times(series); !r) return r;
  if (auto r = check_flags(series); !r) return r;
  if (auto r = check_all_nothing(series); !r) return r;
  return check_values(series);
}

Result<std::vector<NewBody>> cut_telemetry(const v1::Body& whole, const Facility& fac) {
  v1::Body body = whole;
  auto& batch = *body.mutable_telemetry_batch();
  const MessageRules& rules = rules_of<v1::TelemetryBatch>();
  canonicalise(batch, rules);
  Fault fault;
  if (!check_message(batch, rules, fault)) return fault.error();
  Cutter cutter(body, fac);
  std::map<std::string, int> seen;
  for (int i = 0; i < batch.series_size(); ++i) {
    if (auto checked = check_columns(batch.series(i)); !checked) {
      return wrong(fmt::format("series[{}].{}", i, checked.error().text));
    }
    const auto first = seen.try_emplace(descriptor_of(batch.series(i)).SerializeAsString(), i);
    if (!first.second) {
      return wrong(fmt::format("series[{}]: the same as series[{}], put their points together", i,
                               first.first->second));
    }
    if (auto added = cutter.add(batch.series(i)); !added) return added.error();
  }
  return cutter.finish();
}

}  // namespace egret
