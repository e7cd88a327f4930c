// Records that could not be taken, as they are looked at: without values by those who operate, byte for byte by the auditor, never unseen.
#include "api_rig.h"
#include "cloud/record_outline.h"
#include "records.h"

using namespace egret;
using namespace egret::cloud;

namespace {

struct QuarantineRig : ApiRig {
  std::string keep(const Bytes& record) {
    JudgedRecord j;
    j.record = record;
    j.quarantine = QuarantineReason::rule_broken;
    j.detail = "ai_result.status: not known";
    commit_counted(*opened.store, {j}, now);
    return hex(view(sha256(record)));
  }
  HttpResponse see(const std::string& id, const std::string& more, Role role) { return get("/api/quarantine/clinic-1/" + id + more, role); }
  std::vector<std::string> log() {
    std::vector<std::string> out;
    REQUIRE(each_audit(*opened.kv, 0, [&](const AuditRow& row) {
              std::string line = std::string(name_of(row.entry.step)) + " " + row.entry.who + " " + row.entry.what + " " + std::to_string(row.entry.status);
              for (const AuditSubject& s : row.entry.about) line += " " + text_of(s);
              return out.push_back(line), true;
            }).has_value());
    return out;
  }
};
bool has(const std::string& text, const std::string& what) { return text.find(what) != std::string::npos; }

}  // namespace

TEST_CASE("who operates the region sees what a refused record is made of, and no value of it", "[api][quarantine]") {
  QuarantineRig rig;
  const std::string id = rig.keep(result(1, 1));
  const std::string seen = rig.see(id, "", Role::operations).body;
  CHECK(has(seen, R"("reason":"rule_broken")"));
  CHECK(has(seen, R"({"depth":0,"number":16,"name":"ai_result","type":"message","bytes":)"));
  CHECK(has(seen, R"("name":"logical_id","type":"bytes","bytes":16})"));
  CHECK(has(seen, R"("name":"subject","type":"message")"));
  for (const char* value : {"P-1", "grade", "urn:site", "71490-7", "clinic-1/"}) CHECK_FALSE(has(seen, value));
  CHECK(rig.see(id, "", Role::auditor).body == seen);
  CHECK(rig.see(std::string(64, '0'), "", Role::operations).status == 404);
  CHECK(rig.see("12", "", Role::operations).status == 400);
}

TEST_CASE("the bytes of a refused record are for the auditor alone, and each look is in the log before it is shown", "[api][quarantine][audit]") {
  QuarantineRig rig;
  const Bytes record = result(1, 1);
  const std::string id = rig.keep(record);
  for (Role role : {Role::viewer, Role::operations, Role::admin, Role::fhir}) {
    const HttpResponse refused = rig.see(id, "/bytes", role);
    CHECK(refused.status == 403);
    CHECK_FALSE(has(refused.body, "P-1"));
  }
  const HttpResponse seen = rig.see(id, "/bytes", Role::auditor);
  REQUIRE(seen.status == 200);
  CHECK(seen.body == record);
  CHECK(seen.content_type == "application/octet-stream");
  const auto log = rig.log();  // nobody has tended it: it is there already
  REQUIRE(log.size() >= 2);
  CHECK(log[log.size() - 2] == "asked auditor GET /api/quarantine/{facility}/{id}/bytes 0");
  CHECK(log.back().starts_with("done auditor GET /api/quarantine/{facility}/{id}/bytes 200 record clinic-1/"));
  rig.memory->fail_write(1, KvMemory::Failure::lost);
  CHECK(rig.see(id, "/bytes", Role::auditor).status == 503);
}

TEST_CASE("an outline is of any bytes, ends where they make no sense, and is never larger than its limit", "[quarantine]") {
  CHECK_FALSE(outline_of("").split);
  CHECK_FALSE(outline_of("garbage that is no record").split);
  const auto with_body = [](const Bytes& body) { return join_record(body, "").value(); };
  const RecordOutline unknown = outline_of(with_body(Bytes("\xfa\x3f\x03" "abc", 6)));
  REQUIRE(unknown.split);
  REQUIRE(unknown.body.fields.size() == 1);
  CHECK((unknown.body.fields[0].number == 1023 && unknown.body.fields[0].name.empty() && unknown.body.fields[0].bytes == 3));
  CHECK_FALSE(unknown.body.broken_at);
  // A field that is longer than what follows, a wire type that there is none of, field 0, a number without an end.
  for (const Bytes& bad : {Bytes("\x12\x7f" "a", 3), Bytes("\x0f", 1), Bytes("\x02\x00", 2), Bytes("\x08\xff", 2), Bytes(11, '\xff')}) {
    INFO(hex(bad));
    const RecordOutline broken = outline_of(with_body(Bytes("\x08\x01", 2) + bad));
    CHECK(broken.body.fields.size() == 1);
    CHECK(broken.body.broken_at == std::optional<uint64_t>(2));
  }
  Bytes many, deep;
  for (size_t i = 0; i < 2 * kOutlineFields; i++) many += Bytes("\x08\x01", 2);
  const RecordOutline cut = outline_of(with_body(many));
  CHECK((cut.body.fields.size() == kOutlineFields && cut.body.more));
  // A source in a source in a source: the schema has none such, so nothing is looked into that is not a message.
  for (int i = 0; i < 100; i++) deep = Bytes("\x32") + Bytes(1, static_cast<char>(std::min<size_t>(deep.size(), 127))) + deep.substr(0, 127);
  for (const OutlineField& f : outline_of(with_body(deep)).body.fields) CHECK(f.depth < kOutlineDepth);
}
