#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "cloud/fhir/ai.h"
#include "cloud/fhir/elements.h"
#include "cloud/fhir/exchange.h"
#include "cloud/results.h"
#include "schemas/record.pb.h"
#include "schemas/record_rules.h"
#include "schemas/record_text.h"

namespace egret::cloud::fhir {
namespace {

using Statements = std::vector<const PlacedStatement*>;

uint32_t number_of(const PlacedStatement& s) {
  if (const auto* version = std::get_if<Version>(&s.statement)) return version->number;
  if (const auto* retraction = std::get_if<Retraction>(&s.statement)) return retraction->number;
  const auto* review = std::get_if<Review>(&s.statement);
  return review != nullptr ? review->version_seen : 0;
}

std::string version_of(const PlacedStatement& s) {
  return fmt::format("{}-{}", number_of(s), hex(view(body_of(s.statement)).substr(0, 8)));
}

bool promotes(const PlacedStatement& s) {
  const auto* review = std::get_if<Review>(&s.statement);
  return review != nullptr && (review->verdict == ReviewVerdict::agreed || review->verdict == ReviewVerdict::agreed_with_changes);
}

// The highest version with this number; nullptr: it has not come.
const PlacedStatement* version_numbered(const ResultRow& row, uint32_t number) {
  const PlacedStatement* best = nullptr;
  for (const PlacedStatement& s : row.statements) {
    if (std::holds_alternative<Version>(s.statement) && number_of(s) == number && (best == nullptr || body_of(best->statement) < body_of(s.statement))) best = &s;
  }
  return best;
}

// One result, and how its statements become versions.
class Shown {
 public:
  Shown(Sight& sight, const ResultName& name, ResultRow row) : sight_(sight), name_(name), row_(std::move(row)), view_(row_.view()) {}

  // What makes a version of the resource, newest first.
  Statements entries() const {
    Statements out;
    for (const PlacedStatement& s : row_.statements) {
      if (!std::holds_alternative<Successor>(s.statement) && stands_on(s) != nullptr) out.push_back(&s);
    }
    const PlacedStatement* now = current();
    const auto rank = [&](const PlacedStatement* s) { return std::tuple(s == now, number_of(*s), s->statement.index() != 0, body_of(s->statement)); };
    std::ranges::sort(out, [&](const PlacedStatement* a, const PlacedStatement* b) { return rank(b) < rank(a); });
    return out;
  }

  const PlacedStatement* current() const {
    const PlacedStatement* best = nullptr;
    if (!view_.retracted) {
      const PlacedStatement* review = view_.review ? row_.find(*view_.review) : nullptr;
      if (review != nullptr && promotes(*review) && number_of(*review) == view_.number) return review;
      return view_.current ? row_.find(*view_.current) : nullptr;
    }
    for (const PlacedStatement& s : row_.statements) {
      if (!std::holds_alternative<Retraction>(s.statement)) continue;
      if (best == nullptr || std::tuple(number_of(*best), body_of(best->statement)) < std::tuple(number_of(s), body_of(s.statement))) best = &s;
    }
    // Entered in error as a version of its own.
    return best != nullptr ? best : shown_version(row_, view_);
  }

  Result<std::optional<Json>> at(const PlacedStatement* s) {
    const PlacedStatement* version = s == nullptr ? nullptr : stands_on(*s);
    if (version == nullptr) return std::optional<Json>();
    v1::Body body, review;
    if (auto read = read_into(*version, body); !read) return gone_or(read.error());
    if (s != version && std::holds_alternative<Review>(s->statement)) {
      if (auto read = read_into(*s, review); !read) return gone_or(read.error());
    }
    rendered_ = version;
    conclusion_ = body.ai_result().phi().conclusion();
    return render(*s, *version, std::move(*body.mutable_ai_result()), review.review());
  }

  // What the version that is shown concludes; empty: nothing, or it is not there any more.
  Result<std::string> conclusion() {
    const PlacedStatement* version = shown_version(row_, view_);
    if (version == nullptr) return std::string();
    if (version == rendered_) return conclusion_;
    v1::Body body;
    if (auto read = read_into(*version, body); !read) return read.error().code == Errc::not_found ? Result<std::string>(std::string()) : read.error();
    return body.ai_result().phi().conclusion();
  }

  const ResultRow& row() const { return row_; }

 private:
  // The version that a statement is, reviews or takes back; nullptr: it is not there, and nothing can be shown.
  const PlacedStatement* stands_on(const PlacedStatement& s) const {
    if (std::holds_alternative<Version>(s.statement)) return &s;
    if (promotes(s)) return version_numbered(row_, number_of(s));
    return std::holds_alternative<Retraction>(s.statement) ? shown_version(row_, view_) : nullptr;
  }

  static Result<std::optional<Json>> gone_or(const Error& error) {
    if (error.code == Errc::not_found) return std::optional<Json>();  // erased meanwhile
    return error;
  }

  Result<void> read_into(const PlacedStatement& s, v1::Body& body) {
    const auto record = sight_.reader.at(s.by, s.place);
    if (!record) return record.error();
    if (record->gone) return Error{Errc::not_found, "erased"};
    const auto parts = split_record(record->record);
    if (!parts || !body.ParseFromArray(parts->body.data(), static_cast<int>(parts->body.size())))
      return Error{Errc::corrupt, "cloud store: an applied record cannot be read; run `egret-cloud verify`"};
    return {};
  }

  Result<std::optional<Json>> render(const PlacedStatement& s, const PlacedStatement& version, v1::AiResult result, const v1::Review& review);
  Result<void> take_values_before(uint32_t number, v1::AiResult& result);
  ResultStatus status_at(const PlacedStatement& s, const Version& version) const;
  Result<Json> meta(const PlacedStatement& s, const v1::AiResult& result);

  Sight& sight_;
  const ResultName name_;
  const ResultRow row_;
  const ResultView view_;
  const PlacedStatement* rendered_ = nullptr;  // the version that at() has read last
  std::string conclusion_;                     // its
};

// Final, with the values of before: those of the nearest version below that has its own.
Result<void> Shown::take_values_before(uint32_t number, v1::AiResult& result) {
  while (result.no_value() == v1::AiResult::NO_VALUE_UNCHANGED && number > 1) {
    const PlacedStatement* before = nullptr;
    for (const PlacedStatement& s : row_.statements) {
      if (std::holds_alternative<Version>(s.statement) && number_of(s) < number && (before == nullptr || number_of(*before) < number_of(s))) before = &s;
    }
    if (before == nullptr) return {};
    number = number_of(*before);
    v1::Body body;
    if (auto read = read_into(*before, body); !read) return read;
    const v1::AiResult& older = body.ai_result();
    result.clear_no_value();
    if (older.has_value()) *result.mutable_value() = older.value();
    if (older.has_absent_reason()) *result.mutable_absent_reason() = older.absent_reason();
    if (older.no_value() != v1::AiResult::NO_VALUE_UNSPECIFIED) result.set_no_value(older.no_value());
    if (result.components().empty()) *result.mutable_components() = older.components();
  }
  return {};
}

ResultStatus Shown::status_at(const PlacedStatement& s, const Version& version) const {
  if (std::holds_alternative<Retraction>(s.statement)) return ResultStatus::entered_in_error;
  if (&s == current()) return view_.status;
  const auto* review = std::get_if<Review>(&s.statement);
  if (review == nullptr) return version.status;
  const bool was_final = version.status == ResultStatus::final || version.status == ResultStatus::amended || version.status == ResultStatus::corrected;
  if (review->verdict == ReviewVerdict::agreed_with_changes && was_final) return ResultStatus::corrected;
  return was_final ? version.status : ResultStatus::final;
}

Result<Json> Shown::meta(const PlacedStatement& s, const v1::AiResult& result) {
  const auto known = sight_.recalls();
  if (!known) return known.error();
  Json tags = Json::array();
  if (result.has_recognition()) tags.push(coding(result.recognition()));
  if (result.critical()) tags.push(coding(kOwnCodes, "critical", "Somebody must act now"));
  if (view_.verdict && !promotes(s)) tags.push(coding(kOwnCodes, "review-" + verdict_name(uint8_t(*view_.verdict)), "What the review that counts says"));
  for (const uint64_t id : recalls_of(name_.fac, row_.all(), **known)) tags.push(coding(kOwnCodes, "recall", fmt::format("Its model is under recall {}", id)));
  return Json::object({{"versionId", version_of(s)}, {"lastUpdated", instant(sight_.had(s.by, s.place))}, {"security", Json::array({ai_label()})}, {"tag", std::move(tags)}});
}

void add_subject(Json& out, const v1::AiResult::Phi& phi, const Hash& patient) {
  Json subject = reference("Patient/" + hex(view(patient)));
  subject.set("identifier", identifier(phi.subject().system(), phi.subject().value()));
  out.set("subject", std::move(subject));
}

void add_context(Json& out, const v1::AiResult& result) {
  const v1::AiResult::Phi& phi = result.phi();
  const auto uid = [](const std::string& value) { return value.empty() ? Json() : logical("ImagingStudy", identifier("urn:dicom:uid", "urn:oid:" + value)); };
  if (!phi.accession().empty()) {
    Json id = Json::object({{"type", concept_of(coding("http://terminology.hl7.org/CodeSystem/v2-0203", "ACSN"))}, {"value", phi.accession()}});
    out.set("basedOn", Json::array({logical("ServiceRequest", std::move(id))}));
  }
  out.set("partOf", Json::array({uid(phi.study_uid())}));
  if (!phi.encounter_no().empty()) out.set("encounter", logical("Encounter", Json::object({{"value", phi.encounter_no()}})));
  if (!phi.specimen_id().empty()) out.set("specimen", logical("Specimen", Json::object({{"value", phi.specimen_id()}})));
}

void add_answer(Json& out, const v1::AiResult& result) {
  add_value(out, result.value());
  if (result.has_absent_reason()) out.set("dataAbsentReason", concept_of(result.absent_reason()));
  Json interpretation = Json::array();
  for (const int one : result.interp()) {
    std::string name(rules_of<v1::AiResult>().find("interp")->names->name_of(one));
    std::ranges::transform(name, name.begin(), [](char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); });
    interpretation.push(concept_of(coding("http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", name)));
  }
  out.set("interpretation", std::move(interpretation));
  if (result.has_body_site()) out.set("bodySite", concept_of(result.body_site()));
}

Json components(const v1::AiResult& result) {
  Json out = Json::array();
  for (const auto& component : result.components()) {
    Json codes = Json::array();
    for (const v1::Coding& code : component.code()) codes.push(coding(code));
    Json one = Json::object();
    add_confidence(one, component.prob());
    one.set("code", Json::object({{"coding", std::move(codes)}}));
    add_value(one, component.value());
    if (component.has_absent_reason()) one.set("dataAbsentReason", concept_of(component.absent_reason()));
    out.push(std::move(one));
  }
  if (!result.gradable()) {
    Json one = Json::object({{"code", concept_of(coding(kOwnCodes, "gradable", "Could the input be judged?"))}, {"valueBoolean", Json::boolean(false)}});
    out.push(std::move(one));
  }
  if (!result.quality().empty()) {
    Json value = Json::object({{"value", Json::number(result.quality())}, {"system", "http://unitsofmeasure.org"}, {"code", "1"}});
    out.push(Json::object({{"code", concept_of(coding(kOwnCodes, "quality", "Quality of the input, 0 to 1"))}, {"valueQuantity", std::move(value)}}));
  }
  return out;
}

Json derived_from(const v1::AiResult& result, const Facility& fac) {
  Json out = Json::array();
  for (const std::string& id : result.derived_from()) out.push(reference("Observation/" + id_of(take<sizeof(Uuid)>(id), fac)));
  for (const std::string& uid : result.phi().sop_uid()) out.push(logical("ImagingStudy", identifier("urn:dicom:uid", "urn:oid:" + uid)));
  return out;
}

Result<std::optional<Json>> Shown::render(const PlacedStatement& s, const PlacedStatement& at, v1::AiResult result, const v1::Review& review) {
  const auto& version = std::get<Version>(at.statement);
  if (auto taken = take_values_before(version.number, result); !taken) return gone_or(taken.error());
  if (review.has_new_value()) {
    *result.mutable_value() = review.new_value();
    result.clear_absent_reason();
  }
  auto about = meta(s, result);
  if (!about) return about.error();
  Json out = Json::object({{"resourceType", "Observation"}, {"id", observation_id(name_)}, {"meta", std::move(*about)}});
  if (result.prob_kind() != v1::AiResult::PROB_KIND_NONE) add_confidence(out, result.prob(), result.ci_lo(), result.ci_hi());
  Json ids = Json::array({identifier(kUris, "urn:uuid:" + egret::text_of(name_.id))});
  out.set("identifier", std::move(ids));
  add_context(out, result);
  out.set("status", status_name(status_at(s, version)) == "entered_in_error" ? "entered-in-error" : status_name(status_at(s, version)));
  out.set("category", Json::array({concept_of(result.scenario())}));
  Json codes = Json::array();
  for (const v1::Coding& code : result.code()) codes.push(coding(code));
  out.set("code", Json::object({{"coding", std::move(codes)}}));
  add_subject(out, result.phi(), version.subject);
  if (result.has_t_effective_end()) {
    out.set("effectivePeriod", Json::object({{"start", date_time(result.t_effective())}, {"end", date_time(result.t_effective_end())}}));
  } else {
    out.set("effectiveDateTime", date_time(result.t_effective()));
  }
  out.set("issued", date_time(result.t_issued()));
  add_answer(out, result);
  out.set("device", reference("Device/" + hex(view(version.model))));
  out.set("derivedFrom", derived_from(result, name_.fac));
  out.set("component", components(result));
  return std::optional<Json>(std::move(out));
}

Result<std::optional<Shown>> show(Sight& sight, const ResultName& name) {
  auto row = find_result(sight.kv, name);
  if (!row) return std::move(row).error();
  if (!*row) return std::optional<Shown>();
  return std::optional<Shown>(std::in_place, sight, name, std::move(**row));
}

}  // namespace

std::string id_of(const Uuid& unit, const Facility& fac) {
  return hex(view(unit)) + fac;
}

std::optional<UnitId> unit_in(std::string_view id) {
  constexpr size_t kDigits = 2 * sizeof(Uuid);
  if (id.size() <= kDigits || !valid_facility(id.substr(kDigits))) return std::nullopt;
  const auto unit = bytes_from_hex(id.substr(0, kDigits));
  if (!unit || hex(*unit) != id.substr(0, kDigits)) return std::nullopt;
  return UnitId{take<sizeof(Uuid)>(*unit), Facility(id.substr(kDigits))};
}

std::optional<Hash> hash_in(std::string_view id) {
  const auto hash = bytes_from_hex(id);
  if (!hash || hash->size() != sizeof(Hash) || hex(*hash) != id) return std::nullopt;
  return take<sizeof(Hash)>(*hash);
}

Found observation(Sight& sight, const ResultName& name, std::string_view version) {
  auto shown = show(sight, name);
  if (!shown) return shown.error();
  if (!*shown) return std::optional<Json>();
  if (version.empty()) return (*shown)->at((*shown)->current());
  for (const PlacedStatement* s : (*shown)->entries()) {
    if (version_of(*s) == version) return (*shown)->at(s);
  }
  return std::optional<Json>();
}

Result<std::optional<Concluded>> concluded(Sight& sight, const ResultName& name) {
  auto shown = show(sight, name);
  if (!shown) return shown.error();
  if (!*shown) return std::optional<Concluded>();
  auto resource = (*shown)->at((*shown)->current());
  if (!resource) return std::move(resource).error();
  if (!*resource) return std::optional<Concluded>();
  auto conclusion = (*shown)->conclusion();
  if (!conclusion) return std::move(conclusion).error();
  return std::optional(Concluded{std::move(**resource), std::move(*conclusion)});
}

Found observation_by(Sight& sight, const ResultName& name, const Hash& record) {
  auto shown = show(sight, name);
  if (!shown) return shown.error();
  if (!*shown) return std::optional<Json>();
  for (const PlacedStatement* s : (*shown)->entries()) {
    if (body_of(s->statement) == record) return (*shown)->at(s);
  }
  return std::optional<Json>();
}

Result<std::vector<Json>> observation_history(Sight& sight, const ResultName& name) {
  auto shown = show(sight, name);
  if (!shown) return shown.error();
  std::vector<Json> out;
  if (!*shown) return out;
  for (const PlacedStatement* s : (*shown)->entries()) {
    auto one = (*shown)->at(s);
    if (!one) return std::move(one).error();
    if (*one) out.push_back(std::move(**one));
  }
  return out;
}

}  // namespace egret::cloud::fhir
