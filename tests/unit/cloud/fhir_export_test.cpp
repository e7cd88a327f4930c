// Bulk exports: what is asked for, which resources they hold, and what becomes of them whatever
// happens meanwhile.
#include "cloud/fhir/exports.h"

#include <fstream>
#include <set>
#include <thread>

#include "cloud/fhir/export_walk.h"
#include "cloud/orders.h"
#include "cloud/restrictions.h"
#include "cloud/safe.h"
#include "schemas/chain.h"
#include "schemas/record_text.h"
#include "tests/unit/cloud/fhir_rig.h"
#include "tests/unit/support/mosquitto.h"

namespace egret::cloud {
namespace {

using fhir::ExportLevel;
using fhir::ExportSeen;
using fhir::ExportWish;
using fhir::Json;
using State = ExportSeen::State;

Result<ExportWish> wish_of(const std::string& query, ExportLevel level = ExportLevel::system,
                           bool lenient = false) {
  return fhir::parse_export(level, fhir::parse_query(query).value(), lenient);
}
std::string types_of(const ExportWish& wish) {
  std::string out;
  for (const fhir::Type* type : wish.types)
    out += (out.empty() ? "" : " ") + std::string(type->name);
  return out;
}

TEST_CASE("an export asks for types, a time and the one format, and nothing else") {
  CHECK(types_of(wish_of("").value()) ==
        "DiagnosticReport Device ImagingStudy Observation Patient Provenance");
  CHECK(types_of(wish_of("", ExportLevel::patients).value()) ==
        "DiagnosticReport ImagingStudy Observation Patient Provenance");
  CHECK(types_of(wish_of("_type=Patient,Observation&_type=Patient,Device").value()) ==
        "Patient Observation Device");
  for (const char* format :
       {"application/fhir%2Bndjson", "application/fhir+ndjson", "application/ndjson", "ndjson"})
    CHECK(wish_of(std::string("_outputFormat=") + format).has_value());
  CHECK(wish_of("_since=2026-03-01T08:30:00Z").value().since_us ==
        wish_of("_since=2026-03-01T16:30:00%2B08:00").value().since_us);
  CHECK(wish_of("_since=2026-03-01T08:30:00Z").value().since_us ==
        wish_of("_since=2026-03-01T16:30:00+08:00").value().since_us);
  const auto refused = [](const std::string& query, Errc code, const std::string& named,
                          ExportLevel level = ExportLevel::system) {
    INFO(query);
    const auto wish = wish_of(query, level);
    REQUIRE(wish.has_error());
    CHECK(wish.error().code == code);
    CHECK(wish.error().text.find(named) != std::string::npos);
    CHECK(wish.error().text.find("4711") == std::string::npos);
  };
  refused("_outputFormat=text/csv;4711", Errc::bad_input, "_outputFormat");
  refused("_since=2026-03-01", Errc::bad_input, "_since");
  refused("_since=4711", Errc::bad_input, "_since");
  refused("_since=2026-03-01T08:30:00Z&_since=2026-03-01T08:30:00Z", Errc::bad_input, "_since");
  refused("_type=4711", Errc::unsupported, "_type");
  refused("_type=", Errc::unsupported, "_type");
  refused("_type=Device", Errc::unsupported, "_type", ExportLevel::patients);
  refused("patient=4711", Errc::unsupported, "patient");
  refused("4711=4711", Errc::unsupported, "a parameter");
  std::string many = "_type=Patient";
  for (int i = 0; i < 64; i++) many += ",Patient";
  refused(many, Errc::too_large, "64");
}

TEST_CASE("who is lenient gets what can be given, and is told what was left out") {
  const auto wish = wish_of("_type=Patient,Encounter&_typeFilter=x&_since=2026-03-01T08:30:00Z",
                            ExportLevel::system, true);
  REQUIRE(wish.has_value());
  CHECK(types_of(*wish) == "Patient");
  REQUIRE(wish->ignored.size() == 2);
  CHECK(wish->ignored[1].find("_typeFilter") != std::string::npos);
  // Nothing at all is not what was meant, and what is wrong stays wrong.
  CHECK(wish_of("_type=Encounter", ExportLevel::system, true).has_error());
  CHECK(wish_of("_outputFormat=csv", ExportLevel::system, true).has_error());
  CHECK(fhir::prefers("respond-async", "respond-async"));
  CHECK(fhir::prefers("handling=lenient, respond-async", "respond-async"));
  CHECK(fhir::prefers("respond-async; handling=lenient", "handling=lenient"));
  CHECK_FALSE(fhir::prefers("respond-asynchronously", "respond-async"));
  CHECK_FALSE(fhir::prefers("", "respond-async"));
}

// Results of a site with the times of their commits, and what a client wrote beside them.
struct ExportRig : FhirRig {
  void commit_at_last(const std::vector<Bytes>& records, const Facility& fac = kFac) {
    commit(records, fac);
    auto txn = store->begin();
    const StreamKey key{{7}, StreamId::result};
    LedgerRow row;
    row.c = chain_start(fac, key);
    row = txn->row(fac, key).value().value_or(row);
    const Seq before = row.w;
    row.w = row.claimed = heads[fac];
    // Close marks, as many of them as there are commits here.
    mark_w(row, 1, now.wall);
    REQUIRE(txn->advance(fac, key, before, row.c, row).value());
    REQUIRE(store->commit(std::move(txn)) == CommitResult::committed);
    follow();
  }
  void fill() {
    commit_at_last({model("1.0")});
    for (uint8_t i = 0; i < 8; i++) {
      commit_at_last({rich_result(i, 1, [&](v1::AiResult& r) {
        r.mutable_phi()->mutable_subject()->set_value(i % 2 == 0 ? "P-even" : "P-odd");
        if (i % 4 != 3) r.set_model_ref(Bytes(view(ref_of_model(model("1.0")))));
        r.set_run_id(Bytes(16, char('a' + i / 2)));
      })});
      wait(1'000);
    }
    put("Patient/s", R"({"resourceType":"Patient","id":"s"})");
    put("Device/s", R"({"resourceType":"Device","id":"s"})");
    put("Observation/of",
        R"({"resourceType":"Observation","id":"of","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/s"}})");
    put("Observation/by-name",
        R"({"resourceType":"Observation","id":"by-name","status":"final","code":{"text":"c"},"subject":{"identifier":{"value":"1"}}})");
    put("Observation/of-nobody",
        R"({"resourceType":"Observation","id":"of-nobody","status":"final","code":{"text":"c"}})");
    put("Observation/of-a-group",
        R"({"resourceType":"Observation","id":"of-a-group","status":"final","code":{"text":"c"},"subject":{"reference":"Group/1"}})");
    put("Observation/gone",
        R"({"resourceType":"Observation","id":"gone","status":"entered-in-error","code":{"text":"c"},"subject":{"reference":"Patient/s"}})");
    put("ImagingStudy/s",
        R"({"resourceType":"ImagingStudy","id":"s","status":"available","subject":{"reference":"Patient/s"}})");
    put("Provenance/s",
        R"({"resourceType":"Provenance","id":"s","target":[{"reference":"Observation/of"}],"recorded":"2026-03-01T08:30:00Z","agent":[{"who":{"reference":"Device/s"}}]})");
    put("Provenance/d",
        R"({"resourceType":"Provenance","id":"d","target":[{"reference":"Device/s"}],"recorded":"2026-03-01T08:30:00Z","agent":[{"who":{"reference":"Device/s"}}]})");
  }
  void put(const std::string& at, const std::string& resource) {
    const auto done = ask("PUT", at, resource);
    INFO(fhir::write_json(done.body.value_or(Json())));
    REQUIRE(done.status < 300);
  }

  std::vector<std::string> exported(const std::string& type, std::optional<int64_t> since_us = {},
                                    ExportLevel level = ExportLevel::system) {
    follow();
    fhir::World world(kv, *store, entropy, now.wall);
    ExportWish wish;
    wish.level = level;
    wish.since_us = since_us;
    std::vector<std::string> out;
    REQUIRE(fhir::each_exported(world, wish, *fhir::find_type(type), [&](const Json& one) {
              return out.push_back(fhir::write_json(one)), true;
            }).has_value());
    std::ranges::sort(out);
    return out;
  }
  static std::string id_in(const std::string& line) {
    return fhir::parse_json(line).value().text_at("id");
  }
  std::vector<std::string> ids(const std::string& type, std::optional<int64_t> since_us = {},
                               ExportLevel level = ExportLevel::system) {
    std::vector<std::string> out;
    for (const std::string& line : exported(type, since_us, level)) out.push_back(id_in(line));
    std::ranges::sort(out);
    return out;
  }
  // The resources of a search, page after page.
  std::vector<std::string> searched(const std::string& type) {
    std::vector<std::string> out;
    for (std::string address = type + "?_count=3"; !address.empty();) {
      const auto page = get(address);
      REQUIRE(page.status == 200);
      for (const Json* one : fhir::elements_at(*page.body, "entry.resource"))
        out.push_back(fhir::write_json(*one));
      address.clear();
      for (const Json& link : page.body->find("link")->items()) {
        if (link.text_at("relation") == "next")
          address = link.text_at("url").substr(std::string(kBase).size() + 1);
      }
    }
    std::ranges::sort(out);
    return out;
  }
};

TEST_CASE_METHOD(ExportRig, "an export holds what a search finds, resource for resource") {
  fill();
  size_t all = 0;
  for (const fhir::Type& type : fhir::types()) {
    INFO(type.name);
    const auto there = exported(std::string(type.name));
    CHECK(there == searched(std::string(type.name)));
    all += there.size();
  }
  CHECK(all == 8 + 4 + 4 + 10 + 3 + 2 + 1);
  // As far as it is wanted.
  fhir::World world(kv, *store, entropy, now.wall);
  size_t seen = 0;
  REQUIRE(fhir::each_exported(world, {}, *fhir::find_type("Observation"), [&](const Json&) {
            return ++seen < 3;
          }).has_value());
  CHECK(seen == 3);
}

TEST_CASE_METHOD(ExportRig, "what is more than a page is there once, each of it", "[memory]") {
  constexpr size_t kMany = kFhirLooksMax + 100;
  std::vector<Bytes> records;
  for (size_t i = 0; i < kMany; i++) {
    records.push_back(rich_result(uint8_t(i), 1, [&](v1::AiResult& r) {
      Bytes id(16, char(i & 0xff));
      id[0] = char(i >> 8);
      id[8] = char(0x80);
      r.set_logical_id(id);
      r.set_run_id(id);
    }));
    if (records.size() < 100) continue;
    commit_at_last(records);
    records.clear();
  }
  for (const char* type : {"Observation", "DiagnosticReport"}) {
    for (const std::optional<int64_t> since : {std::optional<int64_t>(), std::optional<int64_t>(0)}) {
      INFO(type << " " << since.has_value());
      const auto all = ids(type, since);
      CHECK(all.size() == kMany);
      CHECK(std::set(all.begin(), all.end()).size() == kMany);
    }
  }
}

TEST_CASE_METHOD(ExportRig, "what is restricted is in no export, whichever way it is asked for") {
  fill();
  const auto hash = bytes_from_hex(patient_id("urn:site", "P-even"));
  REQUIRE(hash.has_value());
  const auto order =
      add_restriction(kv, {0, RestrictionOrder::Kind::restrict, now.wall, "dr-q", "disputed",
                           take<sizeof(Hash)>(*hash), 0});
  REQUIRE(order.has_value());
  for (const fhir::Type& type : fhir::types()) {
    INFO(type.name);
    const std::string name(type.name);
    CHECK(exported(name) == searched(name));
    for (const std::string& line : exported(name, 0))
      CHECK(line.find("P-even") == std::string::npos);
  }
  CHECK(ids("Observation").size() == 4 + 4);
  CHECK(ids("Observation", 0).size() == 4 + 5);
}

TEST_CASE_METHOD(ExportRig, "of patients is what is said of one") {
  fill();
  using Ids = std::vector<std::string>;
  const auto of_patients = [&](const std::string& type) {
    Ids out = ids(type, {}, ExportLevel::patients);
    std::erase_if(out, [&](const std::string& one) { return one.size() > 32; });
    return out;
  };
  CHECK(of_patients("Observation") == Ids{"by-name", "of"});
  CHECK(of_patients("Provenance") == Ids{"s"});
  CHECK(of_patients("ImagingStudy") == Ids{"s"});
  CHECK(of_patients("Patient") == Ids{"s"});
  CHECK(ids("Observation", {}, ExportLevel::patients).size() == 10);
  CHECK(ids("DiagnosticReport", {}, ExportLevel::patients).size() == 4);
}

TEST_CASE_METHOD(ExportRig,
                 "since a time there is what has changed: by what a site or a client said, by a "
                 "review, a recall, and what was taken back") {
  using Ids = std::vector<std::string>;
  fill();
  const auto later = [&] {
    wait(60'000);
    return now.wall.us;
  };
  int64_t since = later();
  for (const char* type : {"Observation", "DiagnosticReport", "Provenance", "ImagingStudy"})
    CHECK(ids(type, since).empty());
  // These do not say when they changed; what clients wrote does.
  CHECK(ids("Device", since).size() == 1);
  CHECK(ids("Patient", since).size() == 2);

  put("Observation/of",
      R"({"resourceType":"Observation","id":"of","status":"amended","code":{"text":"c"},"subject":{"reference":"Patient/s"}})");
  commit_at_last({rich_result(2, 2, [](v1::AiResult& r) {
    r.mutable_phi()->mutable_subject()->set_value("P-even");
    r.set_run_id(Bytes(16, 'b'));
  })});
  CHECK(ids("Observation", since) == Ids{id(2), "of"});
  CHECK(ids("DiagnosticReport", since).size() == 1);
  CHECK(ids("Provenance", since).size() == 1);
  since = later();
  CHECK(ids("Observation", since).empty());

  // A review that promotes nothing leaves version and time of the Observation as they were, and
  // changes it.
  commit_at_last({review(4, 1, v1::Review::VERDICT_REJECTED, kFac, kFac)});
  CHECK(ids("Observation", since) == Ids{id(4)});
  CHECK(exported("Observation", since)[0].find("review-rejected") != std::string::npos);
  since = later();

  commit_at_last({retraction(6, 1)});
  CHECK(ids("Observation", since) == Ids{id(6)});
  CHECK(exported("Observation", since)[0].find("entered-in-error") != std::string::npos);
  CHECK(ids("Observation").size() == 7 + 4);
  since = later();

  Order order;
  order.kind = Order::Kind::recall;
  order.at = now.wall;
  order.by = "tester";
  order.reason = "drift";
  order.scope.models = {ref_of_model(model("1.0"))};
  order.scope.from_us = 0;
  order.scope.to_us = INT64_MAX;
  order.model = "retina-screen";
  const auto recall = add_order(kv, order);
  REQUIRE(recall.has_value());
  const auto recalled = ids("Observation", since);
  CHECK(recalled.size() == 6);
  since = later();
  CHECK(ids("Observation", since).empty());
  Order undone;
  undone.kind = Order::Kind::undo;
  undone.at = now.wall;
  undone.by = "tester";
  undone.reason = "it was fine";
  undone.undoes = *recall;
  REQUIRE(add_order(kv, undone).has_value());
  CHECK(ids("Observation", since) == recalled);
  // All of it, from the first moment on.
  CHECK(ids("Observation", 0).size() == 8 + 5);
}

// ---- jobs ----

// The store as it was, which is read only when it may.
class Gate {
 public:
  void open() { open_ = true; }
  void wait() const {
    while (!open_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

 private:
  std::atomic<bool> open_ = false;
};
class FrozenKv final : public Kv {
 public:
  FrozenKv(std::unique_ptr<Kv> of, std::shared_ptr<Gate> gate,
           std::shared_ptr<std::atomic<int>> alive)
      : kv_(std::move(of)), gate_(std::move(gate)), alive_(std::move(alive)) {
    ++*alive_;
  }
  ~FrozenKv() override { --*alive_; }
  Result<void> write(const KvBatch&, bool) override { return Error{Errc::store_failed, "frozen"}; }
  Result<std::optional<Bytes>> get(Space space, ByteView key) const override {
    if (space == kViewSpace) gate_->wait();
    return kv_->get(space, key);
  }
  Result<void> scan(Space space, ByteView first, ByteView end, const Visit& visit) const override {
    if (space == kViewSpace) gate_->wait();
    return kv_->scan(space, first, end, visit);
  }
  Result<void> scan_back(Space space, ByteView first, ByteView end,
                         const Visit& visit) const override {
    return kv_->scan_back(space, first, end, visit);
  }
  uint64_t disk_bytes() const override { return 0; }
  void reclaim(Space, ByteView, ByteView) override {}

 private:
  std::unique_ptr<Kv> kv_;
  std::shared_ptr<Gate> gate_;
  std::shared_ptr<std::atomic<int>> alive_;
};

struct JobRig : ExportRig {
  JobRig() { fill(); }
  void begin(fhir::ExportLimits with = small()) {
    exports.reset();
    exports = std::make_unique<fhir::Exports>(folder(), [this] { return WallTime{wall_us}; }, with);
  }
  static fhir::ExportLimits small() {
    fhir::ExportLimits out;
    out.at_once = 2;
    out.kept = 3;
    out.kept_ms = 1'000;
    out.free_bytes = 0;
    return out;
  }
  std::filesystem::path folder() const { return dir.path() / "exports"; }

  Result<std::string> start(const std::string& query = "", const std::string& client = "a",
                            bool held = false) {
    follow();
    gate = std::make_shared<Gate>();
    if (!held) gate->open();
    fhir::ExportAsked asked;
    asked.wish = wish_of(query, ExportLevel::system, true).value();
    asked.client = client;
    asked.request = std::string(kBase) + "/$export?" + query;
    asked.files = std::string(kBase) + "/exports";
    asked.at = now.wall;
    asked.store.kv = std::make_unique<FrozenKv>(frozen_kv(), gate, alive);
    asked.store.store = open_store(*asked.store.kv, entropy).value();
    return exports->start(std::move(asked));
  }
  ExportSeen ended(const std::string& id, const std::string& client = "a") {
    for (int i = 0; i < 5'000; i++) {
      const auto seen = exports->look(id, client);
      REQUIRE(seen.has_value());
      if (seen->state == State::done || seen->state == State::failed) return *seen;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    FAIL("the export does not end");
    return {};
  }
  bool soon(const std::function<bool()>& what) {
    for (int i = 0; i < 2'500; i++) {
      if (what()) return true;  // once: a moment later a file may be under way again
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
  }
  std::vector<std::string> lines(const std::string& id, const Json& manifest,
                                 const std::string& type, const std::string& list = "output") {
    std::vector<std::string> out;
    for (const Json& one : manifest.find(list)->items()) {
      if (one.text_at("type") != type) continue;
      const std::string url = one.text_at("url");
      REQUIRE(url.starts_with(std::string(kBase) + "/exports/" + id + "/"));
      const auto file = exports->file(id, url.substr(url.rfind('/') + 1), "a");
      REQUIRE(file.has_value());
      std::ifstream in(*file);
      size_t count = 0;
      for (std::string line; std::getline(in, line); count++) out.push_back(line);
      CHECK(one.find("count")->text() == std::to_string(count));
    }
    std::ranges::sort(out);
    return out;
  }
  size_t folders() const {
    std::error_code none;
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder(), none),
                                             std::filesystem::directory_iterator()));
  }

  test::TempDir dir;
  std::atomic<int64_t> wall_us = 1'700'001'000'000'000;
  std::shared_ptr<Gate> gate;
  std::shared_ptr<std::atomic<int>> alive = std::make_shared<std::atomic<int>>(0);
  std::unique_ptr<fhir::Exports> exports;
};

TEST_CASE_METHOD(JobRig,
                 "an export is exact: what comes after it was asked for is not in it, however late "
                 "it is written") {
  begin();
  const auto before = searched("Observation");
  const auto id = start("", "a", true).value();
  commit_at_last({rich_result(100, 1), retraction(1, 1)});
  put("Observation/new",
      R"({"resourceType":"Observation","status":"final","id":"new","code":{"text":"c"}})");
  const auto waiting = exports->look(id, "a");
  REQUIRE(waiting.has_value());
  CHECK(waiting->state != State::done);
  CHECK(!waiting->progress.empty());
  CHECK(!exports->file(id, "Observation.1.ndjson", "a").has_value());
  gate->open();
  const auto seen = ended(id);
  REQUIRE(seen.state == State::done);
  CHECK(lines(id, seen.manifest, "Observation") == before);
  CHECK(seen.manifest.text_at("request") == std::string(kBase) + "/$export?");
  CHECK(seen.manifest.text_at("transactionTime").starts_with("2023-"));
  CHECK(seen.manifest.find("requiresAccessToken")->text() == "true");
  CHECK(seen.manifest.find("error")->items().empty());
  CHECK(seen.goes.us == wall_us + 1'000'000);
  // The state that it read is let go.
  CHECK(*alive == 0);
  const auto next = start().value();
  CHECK(lines(next, ended(next).manifest, "Observation") == searched("Observation"));
}

TEST_CASE_METHOD(JobRig,
                 "a type that is too much for one file goes on in another, and what was left out "
                 "is an error of its own") {
  auto limits = small();
  limits.file_bytes = 2'000;
  begin(limits);
  const auto id = start("_type=Observation,Encounter&_elements=id").value();
  const auto seen = ended(id);
  REQUIRE(seen.state == State::done);
  CHECK(seen.manifest.find("output")->items().size() > 2);
  CHECK(lines(id, seen.manifest, "Observation") == searched("Observation"));
  CHECK(lines(id, seen.manifest, "OperationOutcome", "error").size() == 2);
  for (const auto& file : std::filesystem::directory_iterator(folder() / id)) {
    CHECK(std::filesystem::file_size(file) < 6'000);
    CHECK((file.status().permissions() & std::filesystem::perms(077)) ==
          std::filesystem::perms::none);
  }
  CHECK((std::filesystem::status(folder() / id).permissions() & std::filesystem::perms(077)) ==
        std::filesystem::perms::none);
}

TEST_CASE_METHOD(JobRig, "only who asked for an export sees it, fetches it and cancels it") {
  begin();
  const auto id = start().value();
  const auto seen = ended(id);
  CHECK(!exports->look(id, "b").has_value());
  CHECK(!exports->file(id, "Observation.1.ndjson", "b").has_value());
  CHECK(!exports->cancel(id, "b"));
  CHECK(!exports->look("x", "a").has_value());
  for (const char* name : {"job", "../job", "Observation.2.ndjson", "", "."})
    CHECK(!exports->file(id, name, "a").has_value());
  REQUIRE(exports->file(id, "Observation.1.ndjson", "a").has_value());
  CHECK(exports->cancel(id, "a"));
  CHECK(!exports->look(id, "a").has_value());
  CHECK(!exports->file(id, "Observation.1.ndjson", "a").has_value());
  CHECK(!exports->cancel(id, "a"));
  CHECK(soon([&] { return folders() == 0; }));
}

TEST_CASE_METHOD(JobRig,
                 "so many exports are at work and no more; one that is cancelled makes room, "
                 "written or waiting") {
  begin();
  const auto first = start("", "a", true).value();
  const auto first_gate = gate;
  const auto second = start("", "a", true).value();
  CHECK(exports->look(second, "a")->progress == "waits for 1 before it");
  CHECK(exports->has_room().has_error());
  const auto third = start();
  REQUIRE(third.has_error());
  CHECK(third.error().code == Errc::locked);
  CHECK(exports->cancel(second, "a"));
  CHECK(exports->has_room().has_value());
  CHECK(exports->cancel(first, "a"));
  first_gate->open();
  CHECK(soon([&] { return folders() == 0 && *alive == 0; }));
  CHECK(ended(start().value()).state == State::done);
}

TEST_CASE_METHOD(JobRig,
                 "of those that have ended the oldest goes when there are too many, and each when "
                 "its time is over") {
  begin();
  std::vector<std::string> ids;
  for (int i = 0; i < 4; i++) {
    ids.push_back(start().value());
    CHECK(ended(ids.back()).state == State::done);
  }
  CHECK(!exports->look(ids[0], "a").has_value());
  CHECK(exports->look(ids[1], "a").has_value());
  CHECK(soon([&] { return folders() == 3; }));
  wall_us += 1'000'000;
  CHECK(!exports->look(ids[3], "a").has_value());
  CHECK(ended(start().value()).state == State::done);
  CHECK(soon([&] { return folders() == 1; }));
}

TEST_CASE_METHOD(
    JobRig,
    "after a restart an export that was done is there, and one that was not has clearly failed") {
  begin();
  const auto done = start("_type=Observation").value();
  const auto before = lines(done, ended(done).manifest, "Observation");
  const auto running = start("", "a", true).value();
  const auto running_gate = gate;
  const auto waiting = start("", "a", true).value();
  REQUIRE(soon([&] { return exports->look(running, "a")->state == State::running; }));
  std::filesystem::create_directories(folder() / "0123456789abcdef0123456789abcdef");
  std::filesystem::create_directories(folder() / "something else");
  // It is told to stop, and then reads on.
  std::thread opens([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    running_gate->open();
  });
  begin();
  opens.join();
  for (int again = 0; again < 2; again++) {
    const auto seen = ended(done);
    CHECK(seen.state == State::done);
    CHECK(lines(done, seen.manifest, "Observation") == before);
    for (const std::string& id : {running, waiting}) {
      CHECK(ended(id).state == State::failed);
      CHECK(exports->look(id, "a")->why.find("started anew") != std::string::npos);
      CHECK(!exports->look(id, "b").has_value());
      CHECK(soon([&] {
        return std::distance(std::filesystem::directory_iterator(folder() / id),
                             std::filesystem::directory_iterator()) == 1;
      }));
    }
    // What is nobody's goes.
    CHECK(soon([&] { return folders() == 3; }));
    begin();
  }
}

TEST_CASE_METHOD(JobRig, "a job's file that was changed or cut is nobody's export") {
  begin();
  const auto id = start("_type=Patient").value();
  REQUIRE(ended(id).state == State::done);
  exports.reset();
  const auto file = folder() / id / "job";
  std::ifstream in(file);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  for (const std::string& text :
       {std::string(), whole.substr(0, whole.size() / 2), std::string("[]"),
        std::string("{\"state\":7}"), std::string("\0\xff", 2)}) {
    std::filesystem::create_directories(folder() / id);
    std::ofstream(file, std::ios::trunc | std::ios::binary) << text;
    begin();
    CHECK(!exports->look(id, "a").has_value());
    CHECK(soon([&] { return folders() == 0; }));
    exports.reset();
  }
}

TEST_CASE_METHOD(JobRig,
                 "an export ends before it takes the store's last room, and after its time") {
  auto limits = small();
  limits.free_bytes = UINT64_MAX / 2;
  begin(limits);
  const auto id = start().value();
  CHECK(ended(id).state == State::failed);
  CHECK(exports->look(id, "a")->why.find("too little room") != std::string::npos);
  CHECK(soon([&] { return !std::filesystem::exists(folder() / id / "Observation.1.ndjson"); }));
  // The clock of the service is ahead of the moment that is exported by more than the time that it
  // may take.
  limits = small();
  limits.ms_max = 1'000;
  begin(limits);
  CHECK(ended(start().value()).why.find("too long") != std::string::npos);
}

TEST_CASE_METHOD(JobRig,
                 "when the store is lost those at work fail, and it is let go; when something is "
                 "erased all of them end") {
  begin();
  const auto done = start("_type=Patient").value();
  REQUIRE(ended(done).state == State::done);
  const auto running = start("", "a", true).value();
  const auto running_gate = gate;
  const auto waiting = start("", "a", true).value();
  REQUIRE(soon([&] { return exports->look(running, "a")->state == State::running; }));
  exports->stop_reading("lost");
  running_gate->open();
  for (const std::string& id : {running, waiting}) {
    CHECK(ended(id).state == State::failed);
    CHECK(exports->look(id, "a")->why == "lost");
  }
  CHECK(soon([&] { return *alive == 0; }));
  CHECK(exports->look(done, "a")->state == State::done);
  begin();  // another process, in which nothing was taken away
  exports->end_older(0, "erased");
  CHECK(exports->look(done, "a")->state == State::done);
  exports->end_older(1, "erased");
  CHECK(exports->look(done, "a")->why == "erased");
  CHECK(!exports->file(done, "Patient.1.ndjson", "a").has_value());
  CHECK(soon([&] { return !std::filesystem::exists(folder() / done / "Patient.1.ndjson"); }));
  begin();
  CHECK(ended(done).why == "erased");
}

}  // namespace
}  // namespace egret::cloud
