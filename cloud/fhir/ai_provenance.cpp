// Who said what of a result, and by which model: one Provenance for each statement.
#include <algorithm>

#include "cloud/fhir/ai.h"
#include "cloud/fhir/elements.h"
#include "cloud/fhir/exchange.h"
#include "cloud/fhir/types.h"
#include "schemas/record.pb.h"
#include "schemas/record_text.h"

namespace egret::cloud::fhir {
namespace {

Json agent(const char* role, Json who) {
  return Json::object({{"type", concept_of(coding("http://terminology.hl7.org/CodeSystem/provenance-participant-type", role))}, {"who", std::move(who)}});
}

Json activity(const char* code) {
  return concept_of(coding("http://terminology.hl7.org/CodeSystem/v3-DataOperation", code));
}

// A person is a pseudonym of the facility that says so.
Json person(const Facility& fac, const std::string& pseudonym) {
  return pseudonym.empty() ? Json::object({{"display", fac}}) : logical("Practitioner", identifier("urn:egret:reviewer:" + fac, pseudonym));
}

Json ai_agent(const Json& observation) {
  const Json* device = observation.find("device");
  return device == nullptr ? Json() : agent("author", *device);
}

void add_result(Json& out, const v1::AiResult& result, const Json& observation, const Facility& fac) {
  if (result.has_t_infer()) {
    Json period = Json::object({{"start", date_time(result.t_infer())}});
    if (result.has_t_infer_end()) period.set("end", date_time(result.t_infer_end()));
    out.set("occurredPeriod", std::move(period));
  }
  out.set("recorded", date_time(result.t_issued()));
  Json reasons = Json::array({concept_of(ai_label())});
  if (result.has_status_reason()) reasons.push(concept_of(result.status_reason()));
  out.set("reason", std::move(reasons));
  out.set("activity", activity(result.version() == 1 ? "CREATE" : "UPDATE"));
  Json agents = Json::array({ai_agent(observation)});
  out.set("agent", std::move(agents));
  Json entities = Json::array();
  for (const std::string& older : result.supersedes()) {
    entities.push(Json::object({{"role", "revision"}, {"what", reference("Observation/" + id_of(take<sizeof(Uuid)>(older), fac))}}));
  }
  out.set("entity", std::move(entities));
}

void add_review(Json& out, const v1::Review& review, const Json& observation, const Facility& fac) {
  out.set("occurredDateTime", date_time(review.t()));
  out.set("recorded", date_time(review.t()));
  Json reasons = Json::array({concept_of(ai_label())});
  if (review.has_reason()) reasons.push(concept_of(review.reason()));
  out.set("reason", std::move(reasons));
  out.set("activity", activity("UPDATE"));
  Json agents = Json::array({agent("verifier", person(fac, review.reviewer()))});
  agents.push(ai_agent(observation));
  out.set("agent", std::move(agents));
}

void add_retraction(Json& out, const v1::Retraction& retraction, const Json& observation, const Facility& fac) {
  out.set("recorded", date_time(retraction.t()));
  Json reasons = Json::array({concept_of(ai_label())});
  if (retraction.has_reason_code()) reasons.push(concept_of(retraction.reason_code()));
  out.set("reason", std::move(reasons));
  out.set("activity", activity("NULLIFY"));
  Json agents = Json::array({agent("performer", person(fac, retraction.by()))});
  agents.push(ai_agent(observation));
  out.set("agent", std::move(agents));
}

// Of one statement; nullopt: it cannot be shown.
Found provenance_of(Sight& sight, const ResultName& name, const PlacedStatement& s) {
  const Hash record = body_of(s.statement);
  auto target = observation_by(sight, name, record);
  if (!target) return target;
  // A review that promotes nothing is about the version that it saw, as it is now.
  std::string at = "Observation/" + observation_id(name);
  if (!*target) target = observation(sight, name);
  else at += "/_history/" + (*target)->find("meta")->text_at("versionId");
  if (!target || !*target) return target;
  const auto stored = sight.reader.at(s.by, s.place);
  if (!stored && stored.error().code != Errc::not_found) return stored.error();
  const auto parts = stored && !stored->gone ? split_record(stored->record) : Result<RecordView>(Error{Errc::not_found, ""});
  v1::Body body;
  if (!parts || !body.ParseFromArray(parts->body.data(), static_cast<int>(parts->body.size()))) return std::optional<Json>();
  Json out = Json::object({{"resourceType", "Provenance"}, {"id", id_of(take<sizeof(Uuid)>(view(record)), s.by)}});
  out.set("meta", Json::object({{"versionId", "1"}, {"lastUpdated", instant(sight.had(s.by, s.place))}, {"security", Json::array({ai_label()})}}));
  out.set("target", Json::array({reference(std::move(at))}));
  if (body.has_ai_result()) add_result(out, body.ai_result(), **target, s.by);
  if (body.has_review()) add_review(out, body.review(), **target, s.by);
  if (body.has_retraction()) add_retraction(out, body.retraction(), **target, s.by);
  return std::optional<Json>(std::move(out));
}

std::string version_in(const Json& provenance) {
  const Json* targets = provenance.find("target");
  const auto ref = targets == nullptr ? std::nullopt : reference_in(targets->items().front().text_at("reference"));
  return ref ? ref->version : "";
}

}  // namespace

Result<std::vector<Json>> provenances_of(Sight& sight, const ResultName& name, std::string_view version) {
  std::vector<Json> out;
  const auto row = find_result(sight.kv, name);
  if (!row) return row.error();
  if (!*row) return out;
  for (const PlacedStatement& s : (*row)->statements) {
    if (std::holds_alternative<Successor>(s.statement)) continue;
    auto one = provenance_of(sight, name, s);
    if (!one) return std::move(one).error();
    if (*one && (version.empty() || version_in(**one) == version)) out.push_back(std::move(**one));
  }
  return out;
}

Found provenance(Sight& sight, const UnitId& id) {
  for (const Kind kind : {Kind::ai_result, Kind::review, Kind::retraction}) {
    NaturalKey from, to;
    from.kind = to.kind = kind;
    from.content.fill(0);
    to.content.fill(0xff);
    std::copy(id.unit.begin(), id.unit.end(), from.content.begin());
    std::copy(id.unit.begin(), id.unit.end(), to.content.begin());
    std::optional<Place> place;
    Hash content{};
    auto scanned = sight.kv.scan(kNaturalSpace, natural_key(id.fac, from), natural_key(id.fac, to), [&](ByteView key, ByteView value) {
      const auto name = natural_of(key);
      const auto at = decode_place(value);
      if (name && at) place = *at;
      if (name) content = name->key.content;
      return false;
    });
    if (!scanned) return std::move(scanned).error();
    if (!place) continue;
    const auto record = sight.reader.at(id.fac, *place);
    const auto parts = record && !record->gone ? split_record(record->record) : Result<RecordView>(Error{Errc::not_found, ""});
    v1::Body body;
    if (!parts || !body.ParseFromArray(parts->body.data(), static_cast<int>(parts->body.size()))) return std::optional<Json>();
    for (const Stated& stated : statements_in(body, content)) {
      if (!std::holds_alternative<Successor>(stated.statement)) return provenance_of(sight, stated.about, {stated.statement, *place, id.fac});
    }
  }
  return std::optional<Json>();
}

}  // namespace egret::cloud::fhir
