// The commands of the control socket about what was refused, what is restricted, and what is written down of all of them.
#include "api_rig.h"
#include "cloud/audit.h"
#include "cloud/control.h"
#include "cloud/patients.h"
#include "cloud/remap.h"
#include "cloud/restrictions.h"
#include "cloud/verify.h"
#include "records.h"

using namespace egret;
using namespace egret::cloud;

namespace {

// What an older program refused, although this one can take it.
JudgedRecord refused(const Bytes& record) {
  JudgedRecord j;
  j.record = record;
  j.quarantine = QuarantineReason::rule_broken;
  j.detail = "ai_result.status: final is not known here";
  return j;
}

struct ControlRig : ApiRig {
  void commit(const std::vector<JudgedRecord>& records) {
    commit_counted(*opened.store, records, now);
    follow();
  }
  ControlAnswer run(const std::string& name, const ControlArgs& args) { return run_control(name, args, opened, folder.path(), now); }
  Remapped look(const std::string& id = "") { return remap(*opened.kv, {kFac}, id).value(); }
  std::vector<AuditRow> log() {
    std::vector<AuditRow> out;
    REQUIRE(each_audit(*opened.kv, 0, [&](const AuditRow& row) { return out.push_back(row), true; }).has_value());
    return out;
  }
  std::optional<ResultView> view(uint8_t id) {
    const auto row = find_result(*opened.kv, {kFac, id_of(id)}).value();
    return row ? std::optional(row->view()) : std::nullopt;
  }
};

}  // namespace

TEST_CASE("remap shows what this program makes of refused records, and of results, before anything is written", "[remap]") {
  ControlRig rig;
  const Bytes next = result(1, 2, v1::AiResult::STATUS_FINAL, true), fresh = result(3, 1);
  rig.commit({judged(result(1, 1)), refused(next), refused(fresh), refused("garbage"), refused(result(1, 1))});
  rig.commit({refused(next)});
  const auto before = rig.memory->snapshot();
  const Remapped seen = rig.look();
  CHECK(rig.memory->writes() == before.writes);
  CHECK(seen.records.size() == 4);
  CHECK(seen.count(Reread::Becomes::applied) == 2);
  CHECK(seen.count(Reread::Becomes::duplicate) == 1);
  CHECK(seen.count(Reread::Becomes::refused) == 1);
  REQUIRE(seen.results.size() == 2);
  CHECK(seen.results[0].before->number == 1);
  CHECK(seen.results[0].after.number == 2);
  CHECK(seen.results[0].after.alert == AlertState::open);
  CHECK_FALSE(seen.results[1].before.has_value());
  const std::string text = to_text(seen), json = to_json(seen);
  CHECK(text.find("refused, rule_broken: ai_result.status: final is not known here") != std::string::npos);
  CHECK(text.find("still refused: ") != std::string::npos);
  CHECK(text.find("+ clinic-1/01000000-0000-0000-0000-000000000000  version 2, final, critical, alert open") != std::string::npos);
  CHECK(text.find("- clinic-1/03000000-0000-0000-0000-000000000000  nothing is known of it") != std::string::npos);
  CHECK(text.find("2 would be applied, 1 are duplicates, 0 are deleted, 1 stay refused; 2 results change") != std::string::npos);
  CHECK(json.find(R"("applied":2,"duplicates":1,"deleted":0,"refused":1,"more":false)") != std::string::npos);
  CHECK(json.find("P-1") == std::string::npos);
  CHECK(json.find("grade") == std::string::npos);

  SECTION("what is committed is what was shown") {
    const ControlAnswer done = rig.run("remap.commit", {{"fac", kFac}, {"digest", hex(view(seen.digest))}, {"by", "dr-q"}});
    CHECK(done.code == 0);
    CHECK(done.text.find(R"("applied":2,"duplicates":2)") != std::string::npos);  // one more copy of what was applied
    rig.follow();
    CHECK(*rig.view(1) == seen.results[0].after);
    CHECK(*rig.view(3) == seen.results[1].after);
    CHECK(verify(*rig.opened.kv, {})->wrong == 0);
    const Remapped left = rig.look();
    CHECK(left.records.size() == 1);
    CHECK(left.results.empty());
    CHECK(rig.log().back().entry.what == "control remap.commit");
    CHECK(rig.log().back().entry.who == "dr-q");
  }
  SECTION("of one record alone") {
    const std::string id = hex(view(sha256(fresh)));
    const Remapped one = rig.look(id);
    CHECK(one.records.size() == 1);
    CHECK(one.results.size() == 1);
    CHECK(rig.run("remap.commit", {{"fac", kFac}, {"id", id}, {"digest", hex(view(one.digest))}}).code == 0);
    CHECK(rig.look().records.size() == 3);
  }
  SECTION("nothing, when something has come since") {
    rig.commit({refused(result(4, 1))});
    const ControlAnswer done = rig.run("remap.commit", {{"fac", kFac}, {"digest", hex(view(seen.digest))}});
    CHECK(done.code == 1);
    CHECK(done.text.find("look again") != std::string::npos);
    CHECK(rig.look().records.size() == 5);
    CHECK(rig.run("remap.commit", {{"fac", kFac}}).code == 2);
  }
  SECTION("what came meanwhile by itself is a duplicate then, and so another digest") {
    rig.commit({judged(fresh)});
    const Remapped again = rig.look();
    CHECK(again.count(Reread::Becomes::duplicate) == 2);
    CHECK(again.digest != seen.digest);
  }
}

TEST_CASE("every command that changes something is in the audit log, asked and done; without it nothing is done", "[control][audit]") {
  ControlRig rig;
  rig.commit({judged(result(1, 1))});
  CHECK(rig.run("no.such", {}).code == 2);
  CHECK(rig.log().empty());
  CHECK(rig.run("hold.add", {{"reason", "case"}, {"by", "dr-q"}, {"result", "clinic-1/01000000-0000-0000-0000-000000000000"}}).code == 0);
  CHECK(rig.run("facility.add", {{"fac", "clinic-9"}, {"key", "x"}, {"by", "root"}}).code == 2);
  const auto log = rig.log();
  REQUIRE(log.size() == 4);
  CHECK(log[0].entry.step == AuditStep::asked);
  CHECK(log[1].entry.step == AuditStep::done);
  CHECK(log[1].entry.what == "control hold.add");
  CHECK(log[1].entry.status == 0);
  CHECK(text_of(log[1].entry.about.at(0)) == "result clinic-1/01000000-0000-0000-0000-000000000000");
  CHECK(log[3].entry.status == 2);
  CHECK(text_of(log[3].entry.about.at(0)) == "facility clinic-9");
  rig.memory->fail_write(1, KvMemory::Failure::lost);
  const ControlAnswer no = rig.run("restrict.add", {{"patient", std::string(64, 'a')}, {"reason", "r"}, {"by", "b"}});
  CHECK(no.code == 74);
  CHECK(no.text.find("audit log cannot be written, so nothing was done") != std::string::npos);
  rig.memory->heal();
  CHECK(restriction_orders(*rig.opened.kv).value().empty());
  CHECK(rig.log().size() == 4);
}

TEST_CASE("a restriction is ordered and lifted by command, with who and why, by pseudonym", "[control][restrict]") {
  ControlRig rig;
  const std::string patient(64, 'b');
  CHECK(rig.run("restrict.add", {{"patient", "x"}, {"reason", "r"}, {"by", "b"}}).code == 2);
  CHECK(rig.run("restrict.add", {{"patient", patient}, {"by", "b"}}).code == 2);
  CHECK(rig.run("restrict.add", {{"patient", patient}, {"reason", "r"}, {"by", "b"}}).code == 0);
  CHECK(rig.run("restrict.add", {{"patient", patient}, {"reason", "r"}, {"by", "b"}}).code == 1);
  CHECK(rig.run("restrict.lift", {{"id", "2"}, {"reason", "r"}, {"by", "b"}}).code == 1);
  CHECK(rig.get("/api/restrictions", Role::auditor).body.find(R"("order":"restrict","lifted":false,"patient":"bbbb)") != std::string::npos);
  CHECK(rig.run("restrict.lift", {{"id", "1"}, {"reason", "settled"}, {"by", "c"}}).code == 0);
  const std::string orders = rig.get("/api/restrictions", Role::operations).body;
  CHECK(orders.find(R"("lifted":true)") != std::string::npos);
  CHECK(orders.find(R"("order":"lift","lifts":1)") != std::string::npos);
  CHECK(orders.find(R"("reason":"settled")") != std::string::npos);
  CHECK(rig.log().back().entry.what == "control restrict.lift");
}
