#include "tests/fleet/samples.h"

#include <fstream>
#include <stdexcept>

#include "schemas/record.h"
#include "schemas/record_json.h"
#include "schemas/record_text.h"

namespace egret {

using edge::LaneRecord;

namespace {

constexpr const char* kAnyFacility = "fleet";
constexpr const char* kTimeMark = "@MS@";
constexpr int32_t kLocalMinutes = 8 * 60;  // of the region's clinics
constexpr uint32_t kCriticalAnswerS = 600;

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) throw std::runtime_error(file.string() + ": cannot be read");
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) out.push_back(line);
  }
  if (out.empty()) throw std::runtime_error(file.string() + ": is empty");
  return out;
}

v1::Body body_of(const std::string& json) {
  v1::Body out;
  out.ParseFromString(body_from_json(json, kAnyFacility).value().bytes);
  out.clear_facility_id();
  return out;
}

Bytes uuid(Entropy& chance) {
  Bytes out(16, '\0');
  chance.fill(reinterpret_cast<uint8_t*>(out.data()), out.size());
  out[6] = char((out[6] & 0x0f) | 0x40);
  out[8] = char((out[8] & 0x3f) | 0x80);
  return out;
}

void set(v1::Time& time, WallTime at) {
  time.set_us(at.us);
  time.set_tz_min(kLocalMinutes);
}

LaneRecord record_of(ByteView body, StreamId lane, WallTime at) {
  v1::Arrival arrival;
  arrival.set_wall_us(at.us);
  arrival.set_mono_ns(uint64_t(at.us) * 1000);
  arrival.set_door(v1::Arrival::DOOR_HTTP);
  return {lane, join_record(body, encode_arrival(arrival).value()).value()};
}

v1::Body review_of(const Uuid& result, bool rejected, WallTime at, Entropy& chance) {
  v1::Body out;
  out.set_sens(4);
  out.add_purpose(v1::PURPOSE_CARE);
  v1::Review& review = *out.mutable_review();
  review.set_logical_id(result.data(), result.size());
  review.set_version_seen(1);
  review.set_reviewer("reader-" + std::to_string(chance.next() % 9 + 1));
  review.set_role(v1::Review::ROLE_PHYSICIAN);
  review.set_verdict(rejected ? v1::Review::VERDICT_REJECTED : v1::Review::VERDICT_AGREED);
  review.set_site(v1::Review::SITE_EDGE);
  set(*review.mutable_t(), at);
  return out;
}

}  // namespace

double share_of(Entropy& chance) { return double(chance.next() >> 11) / double(1ULL << 53); }

Samples::Samples(const std::filesystem::path& folder) {
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    const std::vector<std::string> lines = lines_of(file.path());
    if (file.path().filename() == "telemetry.ndjson") {
      telemetry_ = lines;
      continue;
    }
    Model model{body_of(lines[0]), {}, {}};
    model.ref = std::string(view(model_ref_of(model.definition.model_def())));
    for (size_t i = 1; i < lines.size(); i++) model.results.push_back(body_of(lines[i]));
    if (model.results.empty()) throw std::runtime_error(file.path().string() + ": has no result");
    models_.emplace(file.path().stem(), std::move(model));
  }
  if (telemetry_.empty()) throw std::runtime_error(folder.string() + ": has no telemetry.ndjson");
}

LaneRecord Samples::definition(const std::string& model, const Facility& fac, WallTime at) const {
  v1::Body body = models_.at(model).definition;
  const NewBody made = make_body(body, fac).value();
  return record_of(made.bytes, made.lane, at);
}

std::vector<LaneRecord> Samples::result(const std::string& name, const Facility& fac, WallTime at, How how, const Judged& judged, Entropy& chance) const {
  const Model& model = models_.at(name);
  v1::Body body = model.results[chance.next() % model.results.size()];
  v1::AiResult& result = *body.mutable_ai_result();
  result.set_model_ref(model.ref);
  result.set_run_id(uuid(chance));
  result.mutable_phi()->set_source_result_id(hex(uuid(chance)));
  set(*result.mutable_t_effective(), at);
  set(*result.mutable_t_issued(), at);
  if (how == How::critical) {
    result.set_critical(true);
    result.mutable_critical_code()->set_system("urn:sample:critical");
    result.mutable_critical_code()->set_code("now");
    result.set_ack_deadline_s(kCriticalAnswerS);
  }
  const NewBody made = make_body(body, fac).value();
  if (how == How::broken) {
    // As a program of before would write it, that knew no such rule.
    v1::Body broken;
    broken.ParseFromString(made.bytes);
    broken.mutable_ai_result()->set_prob("1.7");
    broken.mutable_ai_result()->set_prob_kind(v1::AiResult::PROB_KIND_RAW);
    return {record_of(broken.SerializeAsString(), made.lane, at)};
  }
  std::vector<LaneRecord> out{record_of(made.bytes, made.lane, at)};
  if (share_of(chance) < judged.reviewed) {
    v1::Body review = review_of(*made.logical_id, share_of(chance) < judged.rejected, at, chance);
    const NewBody said = make_body(review, fac).value();
    out.push_back(record_of(said.bytes, said.lane, at));
  }
  return out;
}

std::vector<LaneRecord> Samples::telemetry(const Facility& fac, WallTime at, Entropy& chance) const {
  std::string request = telemetry_[chance.next() % telemetry_.size()];
  const std::string ms = std::to_string(at.us / 1000);
  for (size_t found = request.find(kTimeMark); found != std::string::npos; found = request.find(kTimeMark, found)) request.replace(found, 4, ms);
  std::vector<LaneRecord> out;
  for (const NewBody& body : telemetry_from_json(request, fac).value()) out.push_back(record_of(body.bytes, body.lane, at));
  return out;
}

}  // namespace egret
