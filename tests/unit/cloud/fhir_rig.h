// A FHIR client on the bench: the facade over the real store, without HTTP: in memory, or, with
// EGRET_FHIR_STORE=postgres, in PostgreSQL.
// Promises: what a test asks is what a client would ask. Leaves to others: roles and HTTP
// (cloud/api, tests/e2e/fhir_test.py).
#pragma once

#include "cloud/fhir/answer.h"
#include "cloud/fhir/elements.h"
#include "cloud/fhir/fetch.h"
#include "cloud/freeze.h"
#include "tests/unit/cloud/records.h"
#include "tests/unit/cloud/store_beds.h"

namespace egret::cloud {

inline constexpr const char* kBase = "https://region.example/fhir";

inline Bytes model(const std::string& version) {
  v1::Body body;
  v1::ModelDef* m = body.mutable_model_def();
  m->set_model_id("retina-screen");
  m->set_vendor("Sample Imaging");
  m->set_name("Retina Screen");
  m->set_version(version);
  m->set_udi_di("00844588003288");
  m->set_intended_use("decision support");
  m->set_autonomy(v1::ModelDef::AUTONOMY_ASSIST);
  m->mutable_model_card()->set_url("https://vendor.example/card.md");
  m->mutable_model_card()->set_format(v1::ModelDef::ModelCard::CARD_FORMAT_HF_MARKDOWN);
  return record_from(body, kFac);
}
inline Hash ref_of_model(const Bytes& record) {
  v1::Body body;
  body.ParseFromString(Bytes(split_record(record)->body));
  return model_ref_of(body.model_def());
}

// A result with more said of it; `change` may say more.
inline Bytes rich_result(uint8_t id, uint32_t version, const std::function<void(v1::AiResult&)>& change = {}, const Facility& fac = kFac) {
  v1::Body body;
  body.ParseFromString(Bytes(split_record(result(id, version, v1::AiResult::STATUS_PRELIMINARY, false, fac))->body));
  v1::AiResult* r = body.mutable_ai_result();
  r->mutable_value()->mutable_quantity()->set_value("1.50");
  r->mutable_value()->mutable_quantity()->set_unit("mm");
  r->set_prob("0.930");
  r->set_prob_kind(v1::AiResult::PROB_KIND_CALIBRATED);
  r->mutable_phi()->set_accession("A-77");
  r->mutable_phi()->set_study_uid("1.2.840.1");
  r->mutable_phi()->set_sex(v1::AiResult::SEX_FEMALE);
  r->mutable_phi()->set_birth_year(1961);
  r->mutable_phi()->set_conclusion("see image");
  if (change) change(*r);
  v1::Body again;
  *again.mutable_ai_result() = *r;
  return record_from(again, fac);
}

struct FhirRig : ViewRig {
  FhirRig() { follow(); }

  // The store's, wherever that is.
  std::unique_ptr<PostgresBed> bed = in_postgres() ? move_out() : nullptr;
  Kv& kv = store->kv();

  static bool in_postgres() {
    const char* where = std::getenv("EGRET_FHIR_STORE");
    return where != nullptr && std::string_view(where) == "postgres";
  }
  std::unique_ptr<PostgresBed> move_out() {
    auto out = std::make_unique<PostgresBed>();
    store = open_store(out->store().kv(), entropy).value();
    register_facility(kFac);
    return out;
  }
  // As it is now, to be read by another thread.
  std::unique_ptr<Kv> frozen_kv() {
    if (bed == nullptr) return std::make_unique<KvMemory>(CloudRig::kv);
    auto out = freeze(StorePlace{{}, PostgresBed::options()}, OpenedStore{}).value();
    out.store.reset();
    return std::move(out.kv);
  }

  fhir::Response send(fhir::Request request) {
    request.base = kBase;
    request.client = "bench";
    if (request.content_type.empty()) request.content_type = request.method == "PATCH" ? "application/json-patch+json" : "application/fhir+json";
    follow();  // as the store's thread does
    fhir::World world(kv, *store, entropy, now.wall);
    world.base = kBase;
    world.client = "bench";
    wait(1'000);
    return fhir::answer(request, world);
  }
  fhir::Response ask(const std::string& method, const std::string& address, const std::string& body = "") {
    fhir::Request request;
    request.method = method;
    const size_t mark = std::min(address.find('?'), address.size());
    request.path = address.substr(0, mark);
    request.query = address.substr(std::min(mark + 1, address.size()));
    request.body = body;
    return send(std::move(request));
  }
  fhir::Response get(const std::string& address) { return ask("GET", address); }

  // The ids that a search finds, over all its pages.
  std::vector<std::string> found(std::string address, const std::string& mode = "match", size_t* pages = nullptr) {
    std::vector<std::string> out;
    while (!address.empty()) {
      const auto page = get(address);
      INFO(address << " " << fhir::write_json(page.body.value_or(fhir::Json())));
      REQUIRE(page.status == 200);
      if (pages != nullptr) ++*pages;
      if (const fhir::Json* entries = page.body->find("entry")) {
        for (const fhir::Json& entry : entries->items()) {
          if (entry.find("search")->text_at("mode") == mode) out.push_back(entry.find("resource")->text_at("id"));
        }
      }
      address.clear();
      for (const fhir::Json& link : page.body->find("link")->items()) {
        REQUIRE(link.text_at("url").starts_with(kBase));
        if (link.text_at("relation") == "next") address = link.text_at("url").substr(std::string(kBase).size() + 1);
      }
    }
    return out;
  }

  std::string id(uint8_t n, const Facility& fac = kFac) { return fhir::observation_id({fac, id_of(n)}); }
  std::string patient_id(const std::string& system, const std::string& value) {
    v1::Identifier identifier;
    identifier.set_system(system);
    identifier.set_value(value);
    return hex(view(patient_of(patient_key(kv).value(), identifier)));
  }
};

inline const std::string& text_at(const fhir::Json& json, std::string_view path) {
  static const std::string kNone;
  const auto there = fhir::elements_at(json, path);
  return there.empty() ? kNone : there.front()->text();
}
inline std::string issue_of(const fhir::Response& response) {
  return response.body ? text_at(*response.body, "issue.code") : "";
}

}  // namespace egret::cloud
