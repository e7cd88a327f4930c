#include "schemas/record_telemetry.h"

#include <map>

#include "schemas/limits.h"
#include "tests/unit/schemas/record_samples.h"

using namespace egret;
using namespace egret::samples;

namespace {

std::string request(const std::string& series, const std::string& more = "") {
  return "{" + more + "\"series\":[" + series + "]}";
}

std::string gauge(const std::string& points, const std::string& name = "cpu") {
  return R"({"name":")" + name +
         R"(","unit":"1","kind":"gauge","labels":{"b":"2","a":"1"},"points":[)" + points + "]}";
}

std::string error_of(const std::string& json) {
  const auto bodies = telemetry_from_json(json, kFac);
  return bodies ? "accepted" : bodies.error().text;
}

v1::TelemetryBatch batch_of(const NewBody& body) {
  v1::Body parsed;
  REQUIRE(parsed.ParseFromString(body.bytes));
  return parsed.telemetry_batch();
}

constexpr const char* kT = "1760000000000000000";

}  // namespace

TEST_CASE("a POST of telemetry becomes batches of machine data in lane 2", "[record]") {
  const auto bodies = telemetry_from_json(
      request(gauge("[" + std::string(kT) + ",1.5]"), R"("resource":{"host":"h"},)"), kFac);
  REQUIRE((bodies ? "" : bodies.error().text) == "");
  REQUIRE(bodies->size() == 1);
  CHECK(bodies->front().lane == StreamId::telemetry);
  v1::Body body;
  REQUIRE(body.ParseFromString(bodies->front().bytes));
  CHECK(body.sens() == 2);
  CHECK(body.purpose(0) == v1::PURPOSE_QUALITY);
  const auto& series = body.telemetry_batch().series(0);
  CHECK(series.labels(0).key() == "a");
  CHECK(series.t_ns(0) == 1760000000000000000u);
  CHECK(series.f64(0) == 1.5);
}

TEST_CASE("times are in the unit that the request names, and a wrong unit is told", "[record]") {
  const auto t_of = [](const std::string& unit, const std::string& t) {
    const auto bodies = telemetry_from_json(
        request(gauge("[" + t + ",1]"), "\"time_unit\":\"" + unit + "\","), kFac);
    REQUIRE((bodies ? "" : bodies.error().text) == "");
    return batch_of(bodies->front()).series(0).t_ns(0);
  };
  CHECK(t_of("s", "1760000000") == 1760000000000000000u);
  CHECK(t_of("ms", "1760000000001") == 1760000000001000000u);
  CHECK(t_of("us", "1760000000000001") == 1760000000000001000u);
  CHECK(t_of("ns", "1760000000000000001") == 1760000000000000001u);
  // The unit may stand behind the series.
  CHECK(telemetry_from_json("{\"series\":[" + gauge("[1760000000,1]") + "],\"time_unit\":\"s\"}",
                            kFac)
            .has_value());
  CHECK(error_of(request(gauge("[1760000000000,1]"))) ==
        "series[0].points[0]: time: allowed whole nanoseconds (or set time_unit) since 1970, from "
        "the year 2000 to 2200");
  CHECK(
      error_of(request(gauge("[1760000000000,1]"), R"("time_unit":"s",)")).find("whole seconds") !=
      std::string::npos);
  CHECK(error_of(request(gauge("[1760000000,1]"), R"("time_unit":"ms",)"))
            .find("whole milliseconds") != std::string::npos);
  CHECK(error_of(request(gauge("[1760000000.5,1]"), R"("time_unit":"s",)")).find("whole seconds") !=
        std::string::npos);
  CHECK(error_of(request(gauge("[1,1]"), R"("time_unit":"h",)")) ==
        "time_unit: none of ns, us, ms or s");
}

TEST_CASE("a series of whole numbers stays whole, one decimal makes it floating", "[record]") {
  const std::string t(kT);
  const auto whole =
      batch_of(telemetry_from_json(request(gauge("[" + t + ",9007199254740993]")), kFac)->front());
  CHECK(whole.series(0).i64(0) == 9007199254740993);
  const auto floating =
      batch_of(telemetry_from_json(request(gauge("[" + t + ",1],[1760000000000000001,2.0]")), kFac)
                   ->front());
  CHECK(floating.series(0).f64_size() == 2);
  CHECK(floating.series(0).i64_size() == 0);
}

TEST_CASE(
    "points are a set by time: order and repeats do not count, two values at one time are refused",
    "[record]") {
  const std::string a = "[1760000000000000000,1.5]",
                    b = "[1760000000000000005,2.5,[\"estimated\"]]",
                    c = "[1760000000000000009,null]";
  const auto one = telemetry_from_json(request(gauge(a + "," + b + "," + c)), kFac);
  const auto two = telemetry_from_json(request(gauge(c + "," + b + "," + a + "," + b)), kFac);
  REQUIRE((two ? "" : two.error().text) == "");
  CHECK(one->front().bytes == two->front().bytes);
  CHECK(error_of(request(gauge(a + ",[1760000000000000000,1.6]"))) ==
        "series[0]: points: two different points at one time, allowed one");
  CHECK(error_of(request(gauge(a) + "," + gauge(b))) ==
        "series[1]: the same as series[0], put their points together");
}

TEST_CASE("a large POST is cut by its content alone, every point once, every body within its limit",
          "[record]") {
  std::string series;
  std::map<std::string, std::map<uint64_t, double>> sent;
  for (int s = 0; s < 40; ++s) {
    std::string points;
    const std::string name = "metric." + std::to_string(s);
    for (uint64_t i = 0; i < 700; ++i) {
      const uint64_t t = 1760000000000 + i * 1000 + static_cast<uint64_t>(s);
      points += (i ? ",[" : "[") + std::to_string(t) + "," + std::to_string(i) + ".5]";
      sent[name][t * 1'000'000] = static_cast<double>(i) + 0.5;
    }
    series += (s ? "," : "") + gauge(points, name);
  }
  const std::string json = request(series, R"("time_unit":"ms",)");
  REQUIRE(json.size() <= kTelemetryRequestBytesMax);
  const auto bodies = telemetry_from_json(json, kFac);
  REQUIRE((bodies ? "" : bodies.error().text) == "");
  CHECK(bodies->size() > 5);
  for (const auto& body : *bodies) {
    CHECK(body.bytes.size() <= kTelemetryBodyBytesMax);
    CHECK(check_body(body.bytes, kFac).has_value());
    const auto batch = batch_of(body);
    for (const auto& s : batch.series()) {
      uint64_t t = 0;
      for (int i = 0; i < s.t_ns_size(); ++i) {
        t += s.t_ns(i);
        auto& points = sent[s.name()];
        REQUIRE(points.count(t) == 1);
        CHECK(points[t] == s.f64(i));
        points.erase(t);
      }
    }
  }
  for (const auto& [name, points] : sent) CHECK(points.empty());
  const auto again = telemetry_from_json(json, kFac);
  REQUIRE(again->size() == bodies->size());
  for (size_t i = 0; i < bodies->size(); ++i) CHECK((*again)[i].bytes == (*bodies)[i].bytes);
  std::mt19937 chance(3);
  const auto other = telemetry_from_json(
      shuffled(request(gauge("[1760000000000000000,1]"), R"("sens":2,"purpose":["quality"],)"),
               chance),
      kFac);
  CHECK(other->front().bytes ==
        telemetry_from_json(request(gauge("[1760000000000000000,1]")), kFac)->front().bytes);
}

TEST_CASE("large histogram points still fit their bodies", "[record]") {
  std::string counts = "18446744073709551615", bounds = "0.001";
  for (int i = 1; i < 256; ++i) counts += ",18446744073709551615";
  for (int i = 1; i < 255; ++i) bounds += "," + std::to_string(i) + ".000001";
  std::string points;
  for (int i = 0; i < 30; ++i) {
    points += (i ? ",[" : "[") + std::to_string(1760000000000000000 + i) + R"(,{"bounds":[)" +
              bounds + R"(],"counts":[)" + counts + "]}]";
  }
  const auto bodies = telemetry_from_json(
      request(
          R"({"name":"h","unit":"ms","kind":"histogram","temporality":"delta","start_ns":1,"points":[)" +
          points + "]}"),
      kFac);
  REQUIRE((bodies ? "" : bodies.error().text) == "");
  size_t count = 0;
  for (const auto& body : *bodies) {
    CHECK(body.bytes.size() <= kTelemetryBodyBytesMax);
    count += static_cast<size_t>(batch_of(body).series(0).histogram_size());
  }
  CHECK(count == 30);
}

TEST_CASE("every mistake in telemetry is named by series, point and what is allowed", "[record]") {
  const std::string p = "[1760000000000000000,1]";
  const std::string sum = R"({"name":"n","unit":"1","kind":"sum","points":[)" + p + "]}";
  const std::vector<std::pair<std::string, std::string>> mistakes = {
      {"{}", "series: missing"},
      {"[]", "an array, must be an object"},
      {R"({"series":[]})", "series: empty: leave the field out"},
      {request(gauge("")), "series[0].points: empty: leave the series out"},
      {request(gauge("[1760000000000000000]")),
       "series[0].points[0]: must be [time, value] or [time, value, flags]"},
      {request(gauge("[1760000000000000000,1,[],1]")),
       "series[0].points[0]: more than [time, value, flags]"},
      {request(gauge("[1760000000000000000,1,[\"late\"]]")),
       "series[0].points[0]: flags: none of historical or estimated"},
      {request(gauge("[1760000000000000000,\"1\"]")),
       "series[0].points[0]: a string, must be a number"},
      {request(gauge("[1760000000000000000,1e999]")),
       "series[0].points[0]: not a number of at most 64 characters"},
      {request(gauge("[-1,1]")), "series[0].points[0]: time: allowed whole"},
      {request(gauge(p, "1cpu")), "series[0].name: 4 bytes, allowed a letter or _"},
      {request(gauge(p) + "," + with(gauge(p, "x"), "\"gauge\"", "\"gouge\"")),
       "series[1].kind: none of gauge, sum"},
      {request(sum), "series[0].temporality: missing: kind is sum"},
      {request(with(gauge(p), "\"unit\":\"1\",", "")), "series[0].unit: missing"},
      {request(with(gauge(p), "\"a\":\"1\"", "\"b\":\"1\"")),
       "series[0].labels: name 2 is there twice"},
      {request(with(gauge(p), "\"unit\"", "\"units\"")),
       "series[0]: unknown field \"units\", did you mean \"unit\"?"},
      {request(gauge(p), "\"sens\":9,"), "sens: 9: allowed 1 to 5"},
      {request(gauge(p), "\"facility_id\":\"other\","),
       "facility_id: another facility's, allowed clinic-7"},
      {request(gauge(p), "\"patient\":\"x\","), "unknown field \"patient\", allowed sens"},
      {request(gauge(p)) + "x", "malformed JSON"},
      {request(with(
           with(gauge(p), "\"gauge\"", "\"histogram\",\"temporality\":\"delta\",\"start_ns\":1"),
           ",1]", R"(,{"bounds":[1],"counts":[1]}])")),
       "series[0].points[0].counts: 1 buckets, allowed one more than bounds"},
  };
  for (const auto& [json, error] : mistakes) {
    const std::string text = error_of(json);
    INFO(json << "\n" << text);
    CHECK(text.rfind(error, 0) == 0);
  }
  CHECK(telemetry_from_json(std::string(kTelemetryRequestBytesMax + 1, ' '), kFac).error().code ==
        Errc::too_large);
}

TEST_CASE("columns that do not fit each other are no batch", "[record]") {
  v1::Body body;
  REQUIRE(body.ParseFromString(
      telemetry_from_json(request(gauge("[1760000000000000000,1],[1760000000000000001,2]")), kFac)
          ->front()
          .bytes));
  const auto refused = [&](auto change) {
    v1::Body bent = body;
    change(*bent.mutable_telemetry_batch()->mutable_series(0));
    return !check_body(bent.SerializeAsString(), kFac).has_value();
  };
  CHECK(!refused([](v1::Series&) {}));
  CHECK(refused([](v1::Series& s) { s.add_i64(3); }));
  CHECK(refused([](v1::Series& s) { s.add_t_ns(3); }));
  CHECK(refused([](v1::Series& s) { s.add_f64(3); }));
  CHECK(refused([](v1::Series& s) { s.set_t_ns(1, 0); }));
  CHECK(refused([](v1::Series& s) { s.set_t_ns(1, UINT64_MAX); }));
  CHECK(refused([](v1::Series& s) { s.add_flags(1); }));
  CHECK(refused([](v1::Series& s) { s.add_flags(0), s.add_flags(0); }));
  CHECK(refused([](v1::Series& s) { s.add_flags(1), s.add_flags(8); }));
  CHECK(refused([](v1::Series& s) { s.add_flags(2), s.add_flags(0); }));
  CHECK(refused([](v1::Series& s) { s.clear_i64(), s.add_f64(0), s.add_f64(1e300 * 1e300); }));
  CHECK(refused([](v1::Series& s) { s.set_kind(v1::Series::SERIES_KIND_STATE); }));
}
