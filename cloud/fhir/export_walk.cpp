#include "cloud/fhir/export_walk.h"

#include <algorithm>

#include "cloud/fhir/fetch.h"
#include "cloud/fhir/gate.h"
#include "cloud/fhir/sources.h"
#include "cloud/result_index.h"
#include "cloud/view_tables.h"
#include "schemas/limits_fhir.h"

namespace egret::cloud::fhir {
namespace {

// Of a patient, as far as the resource says so itself.
bool is_of_a_patient(const Json& resource) {
  const std::string& type = resource.text_at("resourceType");
  if (type == "Patient") return true;
  if (type == "Provenance") {
    const auto targets = elements_at(resource, "target");
    return std::ranges::any_of(targets, [](const Json* target) {
      const auto ref = reference_in(target->text_at("reference"));
      return ref && (ref->type == "Patient" || ref->type == "Observation" ||
                     ref->type == "DiagnosticReport" || ref->type == "ImagingStudy");
    });
  }
  const Json* subject = resource.find("subject");
  if (subject == nullptr) return false;
  const auto ref = reference_in(subject->text_at("reference"));
  const std::string& stated = subject->text_at("type");
  return (!ref || ref->type == "Patient") && (stated.empty() || stated == "Patient");
}

// Recalls that were ordered, or undone, at `since_us` or later.
Result<std::vector<Recall>> recalls_since(const Kv& kv, int64_t since_us) {
  const auto all = orders(kv);
  if (!all) return all.error();
  std::vector<Recall> out;
  for (const Recall& recall : recalls_in(*all)) {
    const bool lately = std::ranges::any_of(*all, [&](const cloud::Order& order) {
      return order.at.us >= since_us && (order.id == recall.id || order.undoes == recall.id);
    });
    if (lately) out.push_back({recall.id, recall.scope, false});
  }
  return out;
}

class Walk {
 public:
  Walk(World& world, const ExportWish& wish, const Type& type, const EachExported& each)
      : world_(world), wish_(wish), type_(type), each_(each) {}

  Result<void> run() {
    if (!wish_.since_us) return walk_sources();
    auto lately = recalls_since(world_.kv, *wish_.since_us);
    if (!lately) return std::move(lately).error();
    lately_ = std::move(*lately);
    // These have more behind them than they say themselves, and what was taken back is in no
    // source.
    Result<void> walked;
    if (type_.name == "DiagnosticReport")
      walked = walk_runs();
    else if (type_.name == "Observation" || type_.name == "Provenance")
      walked = walk_results();
    else
      return walk_sources();
    if (!walked || ended_) return walked;
    return walk_stored();
  }

 private:
  // A walk in pieces, each from where the one before ended: one look at the store that lasted for
  // hours would keep in memory what has been written meanwhile.
  struct Page {
    size_t looked = 0;
    bool full = false;
    bool is_full() { return full = ++looked > kFhirLooksMax; }
  };
  Result<void> in_pages(const std::function<Result<void>(Page&)>& walk) {
    for (Page page{0, true}; page.full && !ended_;) {
      page = {};
      if (auto walked = walk(page); !walked) return walked;
      if (failed_) return *failed_;
    }
    return {};
  }

  // False: enough, or it cannot be said whether this may leave (failed_).
  bool give(const Json& resource) {
    const auto hidden = is_restricted(world_, resource);
    if (!hidden) failed_ = hidden.error();
    if (failed_) return false;
    if (*hidden) return true;
    if (wish_.level == ExportLevel::patients && !is_of_a_patient(resource)) return true;
    return !(ended_ = !each_(resource));
  }

  bool is_recent(int64_t us) const {
    return us / 1000 >= *wish_.since_us / 1000;
  }  // what is stated has milliseconds
  bool is_recent(const Json& resource) const {
    const auto at = span_of(last_updated_of(resource));
    return !wish_.since_us || !at || is_recent(at->from_us);
  }

  bool is_touched(const ResultName& name, const ResultRow& row) {
    if (std::ranges::any_of(row.statements, [&](const PlacedStatement& s) {
          return is_recent(world_.had(s.by, s.place).us);
        }))
      return true;
    return !lately_.empty() && !recalls_of(name.fac, row.all(), lately_).empty();
  }

  // ---- what a search would walk ----

  Result<void> walk_sources() {
    Query query;
    query.type = &type_;
    const auto sources = sources_of(world_, query);
    if (!sources) return sources.error();
    for (const Source& source : *sources) {
      Bytes after;
      auto walked = in_pages([&](Page& page) {
        return source.walk(Bytes(after), [&](ByteView key, Json resource) {
          // Several may share a key.
          if (key != after && page.is_full()) return false;
          after = Bytes(key);
          const bool gone = !wish_.since_us && resource.text_at("status") == "entered-in-error";
          return gone || !is_recent(resource) || give(resource);
        });
      });
      if (!walked || ended_) return walked;
    }
    return {};
  }

  Result<void> walk_stored() {
    std::string after;
    std::optional<Error> failed;
    auto walked = in_pages([&](Page& page) {
      return each_stored(world_.kv, type_, std::nullopt, std::string(after),
                         [&](const Stored& stored) {
                           if (page.is_full()) return false;
                           after = stored.id;
                           const auto json = load(world_.reader, stored.place);
                           if (!json && json.error().code != Errc::not_found) failed = json.error();
                           return !failed && (!json || !is_recent(*json) || give(*json));
                         });
    });
    if (failed) return std::move(*failed);
    return walked;
  }

  // ---- what results have become ----

  Result<void> walk_results() {
    Bytes from = "r";
    std::optional<Error> failed;
    auto walked = in_pages([&](Page& page) {
      return world_.kv.scan(kViewSpace, Bytes(from), "s", [&](ByteView key, ByteView value) {
        if (page.is_full()) return false;
        from = Bytes(key) + '\0';
        if (auto given = give_result(key, value); !given) failed = std::move(given).error();
        return !failed && !failed_ && !ended_;
      });
    });
    if (failed) return std::move(*failed);
    return walked;
  }

  Result<void> give_result(ByteView key, ByteView value) {
    const auto name = result_of('r', key);
    const auto row = decode_result(value);
    if (!name || !row) return damaged_view();
    if (!is_touched(*name, *row)) return {};
    return type_.name == "Observation" ? give_observation(*name) : give_provenances(*name);
  }

  Result<void> give_observation(const ResultName& name) {
    const auto found = observation(world_, name);
    if (!found) return found.error();
    if (*found) give(**found);
    return {};
  }

  Result<void> give_provenances(const ResultName& name) {
    const auto all = provenances_of(world_, name);
    if (!all) return all.error();
    for (const Json& one : *all) {
      if (is_recent(one) && !give(one)) break;
    }
    return {};
  }

  Result<void> walk_runs() {
    std::optional<RunName> after;
    std::optional<Error> failed;
    auto walked = in_pages([&](Page& page) {
      return each_run(world_.kv, std::optional(after), [&](const RunName& run) {
        if (page.is_full()) return false;
        after = run;
        if (auto given = give_run(run); !given) failed = std::move(given).error();
        return !failed && !failed_ && !ended_;
      });
    });
    if (failed) return std::move(*failed);
    return walked;
  }

  Result<void> give_run(const RunName& run) {
    const auto touched = is_touched(run);
    if (!touched) return touched.error();
    if (!*touched) return {};
    const auto found = report(world_, run);
    if (!found) return found.error();
    if (*found) give(**found);
    return {};
  }

  Result<bool> is_touched(const RunName& run) {
    const auto names = results_of_run(world_.kv, run.fac, run.run);
    if (!names) return names.error();
    for (const ResultName& name : *names) {
      const auto row = find_result(world_.kv, name);
      if (!row) return row.error();
      if (*row && is_touched(name, **row)) return true;
    }
    return false;
  }

  World& world_;
  const ExportWish& wish_;
  const Type& type_;
  const EachExported& each_;
  std::vector<Recall> lately_;
  std::optional<Error> failed_;
  bool ended_ = false;
};

}  // namespace

Result<void> each_exported(World& world, const ExportWish& wish, const Type& type,
                           const EachExported& each) {
  return Walk(world, wish, type, each).run();
}

}  // namespace egret::cloud::fhir
