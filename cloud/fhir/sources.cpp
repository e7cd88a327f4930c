#include "cloud/fhir/sources.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <memory>
#include <set>

#include "cloud/fhir/elements.h"
#include "schemas/limits_fhir.h"
#include "schemas/record.pb.h"
#include "schemas/record_text.h"

namespace egret::cloud::fhir {
namespace {

using Names = std::set<ResultName>;

class Finder {
 public:
  Finder(World& world, const Query& query) : world_(world), query_(query) {}

  Result<std::vector<Source>> find() {
    const std::string_view type = query_.type->name;
    Result<void> done;
    if (const Criterion* ids = query_.find("_id")) {
      add_ids(*ids);
      return std::move(sources_);
    }
    if (type == "Observation") done = observations();
    if (type == "DiagnosticReport") done = reports();
    if (type == "Device") done = devices();
    if (type == "Patient") done = patients();
    if (type == "Provenance") done = provenances();
    if (!done) return std::move(done).error();
    // An index alone has the order that was asked for: what clients wrote is left out where there is none.
    const auto alone = sources_.size() == 1 && sources_.front().by_date && query_.order != Order::none ? nothing_stored() : Result<bool>(false);
    if (!alone) return alone.error();
    if (!*alone) add_stored();
    return std::move(sources_);
  }

 private:
  // Each of them once, in the order of their ids. An empty list is a source, too: a cursor counts them.
  void add_list(std::set<std::string> ids) {
    const std::string type(query_.type->name);
    sources_.push_back({[this, type, ids = std::move(ids)](ByteView after, const EachCandidate& each) -> Result<void> {
      for (auto id = ids.upper_bound(std::string(after)); id != ids.end(); ++id) {
        auto found = fetch(world_, type, *id);
        if (!found) return std::move(found).error();
        if (*found && !each(*id, std::move(**found))) return {};
      }
      return {};
    }});
  }

  Result<bool> nothing_stored() {
    bool nothing = true;
    auto walked = each_stored(world_.kv, *query_.type, std::nullopt, {}, [&](const Stored&) { return nothing = false; });
    if (!walked) return std::move(walked).error();
    return nothing;
  }

  void add_ids(const Criterion& criterion) {
    add_list({criterion.values.begin(), criterion.values.end()});
  }

  void add_stored() {
    for (const Criterion& criterion : query_.criteria) {
      std::vector<std::pair<Term, size_t>> terms;
      for (size_t i = 0; i < criterion.values.size(); i++) {
        if (const auto term = term_of(*query_.type, criterion, criterion.values[i], world_.base)) terms.emplace_back(*term, i);
      }
      if (terms.size() != criterion.values.size()) continue;
      if (criterion.param->kind == ParamKind::reference) {
        const Criterion others{criterion.param, false, {}, {}};
        for (size_t i = 0; i < criterion.also.size(); i++) terms.emplace_back(*term_of(*query_.type, others, criterion.also[i], world_.base), terms.size());
      }
      for (const auto& [term, value] : terms) add_stored(term, &criterion, value);
      return;
    }
    add_stored(std::nullopt, nullptr, 0);
  }

  void add_stored(const std::optional<Term>& term, const Criterion* criterion, size_t value) {
    sources_.push_back({[this, term](ByteView after, const EachCandidate& each) -> Result<void> {
      std::optional<Error> failed;
      auto walked = each_stored(world_.kv, *query_.type, term, after, [&](const Stored& stored) {
        auto json = load(world_.reader, stored.place);
        if (!json && json.error().code != Errc::not_found) failed = json.error();
        return !failed && (!json || each(stored.id, std::move(*json)));
      });
      if (!walked) return walked;
      if (failed) return std::move(*failed);
      return {};
    }, criterion, value});
  }

  // ---- results ----

  // The results of the patients that a criterion names.
  Result<std::optional<Names>> of_patients() {
    const Criterion* criterion = query_.find("patient") != nullptr ? query_.find("patient") : query_.find("subject");
    if (criterion == nullptr) return std::optional<Names>();
    Names out;
    std::vector<std::string> references = criterion->also;
    if (!criterion->by_identifier) references.insert(references.end(), criterion->values.begin(), criterion->values.end());
    for (const std::string& text : references) {
      const auto ref = reference_in(text, world_.base);
      const auto name = hash_in(ref ? ref->id : text);
      if (!name) continue;
      auto walked = each_of_patient(world_.kv, Bytes(view(*name)), [&](const ResultName& result) {
        out.insert(result);
        return out.size() <= kFhirCountedMax;
      });
      if (!walked) return std::move(walked).error();
      if (out.size() > kFhirCountedMax) return Error{Errc::too_large, fmt::format("search: more than {} results of one patient", kFhirCountedMax)};
    }
    return std::optional<Names>(std::move(out));
  }

  // Every facility that has said something of a result by that UUID.
  Result<std::set<std::string>> by_uuid(const Criterion& criterion) {
    std::set<std::string> out;
    const auto facs = world_.store.facilities();
    if (!facs) return facs.error();
    for (const std::string& value : criterion.values) {
      const WantedToken wanted = wanted_token(value);
      constexpr std::string_view kUuid = "urn:uuid:";
      const auto uuid = wanted.code.starts_with(kUuid) ? uuid_from_text(std::string_view(wanted.code).substr(kUuid.size())) : std::nullopt;
      if (!uuid) continue;
      for (const Facility& fac : *facs) out.insert(id_of(take<sizeof(Uuid)>(*uuid), fac));
    }
    return out;
  }

  CodedRange dated(const CodeHash& code) const {
    CodedRange range;
    range.code = code;
    range.newest_first = query_.order == Order::newest_first;
    for (const Criterion& criterion : query_.criteria) {
      if (criterion.param != date_of(*query_.type) || criterion.values.size() != 1) continue;
      const auto wanted = wanted_date(criterion.values.front());
      if (!wanted) continue;
      // What is found by its beginning may go on: an interval is taken to be no longer than kFhirIntervalUs.
      switch (wanted->compare) {
        case Compare::eq:
          range.from_us = std::max(range.from_us, wanted->span.from_us);
          range.to_us = std::min(range.to_us, wanted->span.to_us);
          break;
        case Compare::lt: range.to_us = std::min(range.to_us, wanted->span.from_us); break;
        case Compare::le: range.to_us = std::min(range.to_us, wanted->span.to_us); break;
        case Compare::gt:
        case Compare::ge: range.from_us = std::max(range.from_us, wanted->span.from_us - kFhirIntervalUs); break;
        case Compare::ne: break;
      }
    }
    return range;
  }

  using OfResult = std::function<Result<bool>(const ResultName& name, ByteView key, const EachCandidate& each)>;

  Source coded(const CodeHash& code, OfResult of) {
    return {[this, code, of = std::move(of)](ByteView after, const EachCandidate& each) -> Result<void> {
      CodedRange range = dated(code);
      if (const auto name = after.size() > sizeof(uint64_t) ? name_in(after.substr(sizeof(uint64_t))) : std::nullopt)
        range.after = CodedPlace{static_cast<int64_t>(get_u64(after, 0)), *name};
      std::optional<Error> failed;
      auto walked = each_coded(world_.kv, range, [&](const CodedPlace& place) {
        Bytes key;
        put_u64(key, static_cast<uint64_t>(place.t_us));
        put_name(key, place.name);
        const auto goes_on = of(place.name, key, each);
        if (!goes_on) failed = goes_on.error();
        return goes_on && *goes_on;
      });
      if (!walked) return walked;
      if (failed) return std::move(*failed);
      return {};
    }};
  }

  OfResult as_observation() {
    return [this](const ResultName& name, ByteView key, const EachCandidate& each) -> Result<bool> {
      auto found = observation(world_, name);
      if (!found) return std::move(found).error();
      return !*found || each(key, std::move(**found));
    };
  }

  Result<void> observations() {
    if (const Criterion* ids = query_.find("identifier")) {
      auto found = by_uuid(*ids);
      if (!found) return std::move(found).error();
      add_list(std::move(*found));
      return {};
    }
    const auto names = of_patients();
    if (!names) return names.error();
    if (*names) {
      std::set<std::string> ids;
      for (const ResultName& name : **names) ids.insert(observation_id(name));
      add_list(std::move(ids));
      return {};
    }
    for (const char* by : {"device", "code"}) {
      const Criterion* criterion = query_.find(by);
      std::vector<CodeHash> codes = criterion == nullptr || criterion->by_identifier ? std::vector<CodeHash>() : codes_of(*criterion);
      if (codes.empty()) continue;
      for (size_t i = 0; i < codes.size(); i++) {
        sources_.push_back(coded(codes[i], as_observation()));
        sources_.back().chosen = criterion;
        sources_.back().value = i;
        sources_.back().by_date = codes.size() == 1;
      }
      return {};
    }
    sources_.push_back(coded(kEveryCode, as_observation()));
    sources_.back().by_date = true;
    return {};
  }

  // One a value; none: they are not all in the index.
  std::vector<CodeHash> codes_of(const Criterion& criterion) const {
    std::vector<CodeHash> out;
    for (const std::string& value : criterion.values) {
      if (criterion.param->kind == ParamKind::token) {
        const WantedToken wanted = wanted_token(value);
        if (!wanted.system || wanted.system->empty() || wanted.code.empty()) return {};
        out.push_back(hash_of_code(*wanted.system, wanted.code));
      } else {
        const auto ref = reference_in(value, world_.base);
        const auto model = hash_in(ref ? ref->id : value);
        // What is no model's name has made no result.
        out.push_back(model ? code_of_model(*model) : CodeHash{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff});
      }
    }
    return out;
  }

  // ---- what belongs to results ----

  Result<void> add_runs_of(const Names& names) {
    std::set<std::string> ids;
    for (const ResultName& name : names) {
      const auto row = find_result(world_.kv, name);
      if (!row) return row.error();
      if (!*row) continue;
      for (const PlacedStatement& s : (*row)->statements) {
        if (const auto* version = std::get_if<Version>(&s.statement)) ids.insert(id_of(version->run, name.fac));
      }
    }
    add_list(std::move(ids));
    return {};
  }

  Names observations_in(const Criterion& criterion) const {
    Names out;
    for (const std::string& value : criterion.values) {
      const auto ref = reference_in(value, world_.base);
      if (const auto unit = unit_in(ref ? ref->id : value)) out.insert({unit->fac, unit->unit});
    }
    return out;
  }

  Result<void> reports() {
    if (const Criterion* ids = query_.find("identifier")) {
      auto found = by_uuid(*ids);
      if (!found) return std::move(found).error();
      add_list(std::move(*found));
      return {};
    }
    if (const Criterion* results = query_.find("result")) return add_runs_of(observations_in(*results));
    const auto names = of_patients();
    if (!names) return names.error();
    if (*names) return add_runs_of(**names);
    sources_.push_back({[this](ByteView after, const EachCandidate& each) -> Result<void> {
      const auto unit = unit_in(after);
      std::optional<Error> failed;
      auto walked = each_run(world_.kv, unit ? std::optional(RunName{unit->fac, unit->unit}) : std::nullopt, [&](const RunName& run) {
        auto found = report(world_, run);
        if (!found) failed = found.error();
        return !failed && (!*found || each(id_of(run.run, run.fac), std::move(**found)));
      });
      if (!walked) return walked;
      if (failed) return std::move(*failed);
      return {};
    }});
    return {};
  }

  Result<void> devices() {
    std::set<std::string> ids;
    auto scanned = world_.kv.scan(kViewSpace, "D", "E", [&](ByteView key, ByteView) {
      ids.insert(hex(key.substr(1)));
      return true;
    });
    if (!scanned) return scanned;
    if (const Criterion* wanted = query_.find("identifier")) {
      // A model that was never described is a Device too, by its name.
      for (const std::string& value : wanted->values) {
        if (const auto model = hash_in(wanted_token(value).code)) ids.insert(hex(view(*model)));
      }
    }
    add_list(std::move(ids));
    return {};
  }

  Result<void> patients() {
    if (const Criterion* wanted = query_.find("identifier")) {
      std::set<std::string> ids(wanted->also.begin(), wanted->also.end());
      add_list(std::move(ids));
      return {};
    }
    sources_.push_back({[this](ByteView after, const EachCandidate& each) -> Result<void> {
      auto last = hash_in(after);
      for (;;) {
        // From one patient to the next, however many results each has.
        const Bytes first = last ? Bytes("s").append(view(*last)) + Bytes(1 + kFacilityCharsMax + sizeof(Uuid), '\xff') : Bytes("s");
        std::optional<Hash> next;
        auto scanned = world_.kv.scan(kViewSpace, first, "t", [&](ByteView key, ByteView) {
          if (key.size() > 1 + sizeof(Hash)) next = take<sizeof(Hash)>(key.substr(1));
          return false;
        });
        if (!scanned) return scanned;
        if (!next) return {};
        last = next;
        auto found = patient(world_, *next);
        if (!found) return std::move(found).error();
        if (*found && !each(hex(view(*next)), std::move(**found))) return {};
      }
    }});
    return {};
  }

  OfResult as_provenances() {
    return [this](const ResultName& name, ByteView key, const EachCandidate& each) -> Result<bool> {
      auto all = provenances_of(world_, name);
      if (!all) return std::move(all).error();
      bool goes_on = true;
      // They share a key: a page takes all of a result's, or none.
      for (Json& one : *all) goes_on = each(key, std::move(one)) && goes_on;
      return goes_on;
    };
  }

  Result<void> provenances() {
    if (const Criterion* targets = query_.find("target")) {
      const Names names = observations_in(*targets);
      sources_.push_back({[this, names](ByteView after, const EachCandidate& each) -> Result<void> {
        for (const ResultName& name : names) {
          Bytes key;
          put_name(key, name);
          if (!after.empty() && key <= after) continue;
          const auto goes_on = as_provenances()(name, key, each);
          if (!goes_on) return goes_on.error();
          if (!*goes_on) return {};
        }
        return {};
      }});
      return {};
    }
    const Criterion* agents = query_.find("agent");
    const std::vector<CodeHash> codes = agents != nullptr && !agents->by_identifier ? codes_of(*agents) : std::vector<CodeHash>{kEveryCode};
    for (size_t i = 0; i < codes.size(); i++) {
      sources_.push_back(coded(codes[i], as_provenances()));
      sources_.back().chosen = codes.size() > 1 ? agents : nullptr;
      sources_.back().value = i;
    }
    return {};
  }

  World& world_;
  const Query& query_;
  std::vector<Source> sources_;
};

}  // namespace

Result<std::vector<Source>> sources_of(World& world, const Query& query) {
  // The sources keep what they were made from.
  auto finder = std::make_shared<Finder>(world, query);
  auto sources = finder->find();
  if (!sources) return sources;
  for (Source& source : *sources) {
    source.walk = [finder, walk = std::move(source.walk)](ByteView after, const EachCandidate& each) { return walk(after, each); };
  }
  return sources;
}

Result<void> resolve_patients(World& world, Query& query) {
  for (Criterion& criterion : query.criteria) {
    const std::string_view name = criterion.param->name;
    const bool own = query.type->name == "Patient" && name == "identifier";
    if (name != "patient" && name != "subject" && !own) continue;
    std::set<std::string> names;
    for (const std::string& value : criterion.values) {
      std::optional<Hash> patient;
      if (own || criterion.by_identifier) {
        const WantedToken wanted = wanted_token(value);
        v1::Identifier id;
        id.set_system(wanted.system.value_or(""));
        id.set_value(wanted.code);
        const auto key = world.key();
        if (!key) return key.error();
        patient = patient_of(*key, id);
      } else {
        const auto ref = reference_in(value, world.base);
        patient = hash_in(ref ? ref->id : value);
      }
      if (!patient) continue;
      names.insert(hex(view(*patient)));
      const auto group = own ? Result<Patient>(Patient{}) : resolve(world.kv, *patient);
      if (!group) return group.error();
      for (const PatientName& each : group->names) names.insert(hex(each));
    }
    for (const std::string& each : names) criterion.also.push_back(own ? each : "Patient/" + each);
  }
  return {};
}

}  // namespace egret::cloud::fhir
