// The audit log: it only grows, whoever changes it is found out, and what is old enough goes without breaking it.
#include "cloud/audit.h"

#include "cloud/merge/moment.h"
#include "cloud/recall_report.h"
#include "cloud/retention.h"
#include "records.h"
#include "schemas/record_text.h"

using namespace egret;
using namespace egret::cloud;

namespace {

const SitePrivateKey kKey{{3}};

AuditEntry read_of(uint8_t id, const std::string& who = "ward-3", WallTime at = {1'700'000'000'000'000}) {
  return {AuditStep::read, at, who, "fhir", "GET /fhir/*: read Observation", 200, 1, {subject_of(ResultName{kFac, id_of(id)})}};
}

struct AuditRig : ViewRig {
  void append(const std::vector<AuditEntry>& entries) { REQUIRE(append_audit(kv, entries).has_value()); }
  std::vector<AuditRow> all(uint64_t after = 0) {
    std::vector<AuditRow> out;
    REQUIRE(each_audit(kv, after, [&](const AuditRow& row) { return out.push_back(row), true; }).has_value());
    return out;
  }
  std::vector<std::string> wrong(const std::optional<AuditKnown>& known = std::nullopt) { return verify_audit(kv, known).value().wrong; }
  static Bytes key(uint64_t number) {
    return table_row('x', number);
  }
  Bytes value(uint64_t number) { return kv.get(kMetaSpace, key(number)).value().value(); }
  void put(Bytes at, Bytes row) {
    KvBatch batch;
    batch.put(kMetaSpace, std::move(at), std::move(row));
    REQUIRE(kv.write(batch, true).has_value());
  }
  void erase(Bytes at) {
    KvBatch batch;
    batch.erase(kMetaSpace, std::move(at));
    REQUIRE(kv.write(batch, true).has_value());
  }
};

bool names(const std::vector<std::string>& wrong, const std::string& what) {
  return std::ranges::any_of(wrong, [&](const std::string& w) { return w.find(what) != std::string::npos; });
}

}  // namespace

TEST_CASE("entries are numbered in the order in which they were written, and read back as they were", "[audit]") {
  AuditRig rig;
  CHECK(audit_head(rig.kv).value().last == 0);
  CHECK(rig.wrong().empty());
  const AuditEntry asked{AuditStep::asked, {7}, "ward", "operator", "POST /x", 0, 1, {}};
  const AuditEntry counted{AuditStep::refused, {9}, "", "", "GET /fhir/*", 401, 40, {}};
  AuditEntry several = read_of(1);
  several.about.push_back(subject_of_patient(Hash{5}));
  several.about.push_back({AuditKind::resource, "Patient", {6}});
  several.about.push_back(subject_of_order(12));
  rig.append({asked, several});
  rig.append({counted});
  rig.append({});
  const auto rows = rig.all();
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].entry == asked);
  CHECK(rows[1].entry == several);
  CHECK(rows[2].entry == counted);
  CHECK(rows[2].number == 3);
  CHECK(rig.all(2).size() == 1);
  CHECK(text_of(several.about[0]) == "result clinic-1/01000000-0000-0000-0000-000000000000");
  CHECK(text_of(several.about[1]) == "patient 05000000000000000000000000000000");
  CHECK(text_of(several.about[2]) == "Patient #06000000000000000000000000000000");
  CHECK(text_of(several.about[3]) == "order 12");
  CHECK(rig.wrong().empty());
  CHECK(verify_audit(rig.kv).value().entries == 3);
}

TEST_CASE("an answer that shows more than one entry can hold has several, and loses none", "[audit]") {
  AuditRig rig;
  AuditEntry large = read_of(1);
  large.about.assign(2 * kAuditSubjectsMax + 1, large.about.front());
  large.who = std::string(1'000, 'w');
  rig.append({large});
  const auto rows = rig.all();
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].entry.step == AuditStep::read);
  CHECK(rows[1].entry.step == AuditStep::more);
  CHECK(rows[0].entry.about.size() + rows[1].entry.about.size() + rows[2].entry.about.size() == large.about.size());
  CHECK(rows[0].entry.who.size() == kAuditTextBytesMax);
}

TEST_CASE("an entry that was changed, left out, moved or cut off is named", "[audit]") {
  AuditRig rig;
  for (uint8_t i = 1; i <= 6; i++) rig.append({read_of(i)});
  const auto before = rig.kv.snapshot();
  SECTION("changed") {
    Bytes row = rig.value(3);
    row[20] = static_cast<char>(row[20] ^ 1);
    rig.put(AuditRig::key(3), row);
    CHECK(names(rig.wrong(), "entry 3 was changed"));
  }
  SECTION("changed, and its own hash made to fit") {
    AuditRig other;  // a log in which the third entry says something else
    for (uint8_t i = 1; i <= 3; i++) other.append({read_of(i, i == 3 ? "somebody" : "ward-3")});
    rig.put(AuditRig::key(3), other.value(3));
    CHECK(names(rig.wrong(), "entry 4 was changed, or the one before it"));
  }
  SECTION("the last one, and its own hash") {
    AuditRig other;
    for (uint8_t i = 1; i <= 6; i++) other.append({read_of(i, i == 6 ? "somebody" : "ward-3")});
    rig.put(AuditRig::key(6), other.value(6));
    CHECK(names(rig.wrong(), "entry 6 was changed, or the end of the log"));
  }
  SECTION("left out") {
    rig.erase(AuditRig::key(2));
    CHECK(names(rig.wrong(), "entry 2 is not there"));
    rig.erase(AuditRig::key(3));
    CHECK(names(rig.wrong(), "entries 2 to 3 are not there"));
  }
  SECTION("the first") {
    rig.erase(AuditRig::key(1));
    CHECK(names(rig.wrong(), "entry 1 is not there"));
  }
  SECTION("two in each other's place") {
    const Bytes four = rig.value(4), five = rig.value(5);
    rig.put(AuditRig::key(4), five);
    rig.put(AuditRig::key(5), four);
    const auto wrong = rig.wrong();
    CHECK(names(wrong, "entry 4 was changed"));
    CHECK(names(wrong, "entry 5 was changed"));
  }
  SECTION("the end cut off") {
    rig.erase(AuditRig::key(6));
    CHECK(names(rig.wrong(), "the end is cut off: entry 6 is not there"));
    rig.erase(AuditRig::key(5));
    CHECK(names(rig.wrong(), "entries 5 to 6 are not there"));
  }
  SECTION("one put behind the end") {
    rig.put(AuditRig::key(7), rig.value(6));
    CHECK(names(rig.wrong(), "entries above 6"));
  }
  SECTION("no entry at all") {
    rig.put(AuditRig::key(2), "x");
    CHECK(names(rig.wrong(), "entry 2 cannot be read"));
  }
  SECTION("how far it is") {
    rig.put("y", "x");
    CHECK(names(rig.wrong(), "how far the log is cannot be read"));
    CHECK_FALSE(append_audit(rig.kv, std::vector{read_of(9)}).has_value());
  }
  rig.kv.rollback(before);
  CHECK(rig.wrong().empty());
}

TEST_CASE("a log whose end was cut off and made good is found out by a root, and by what was noted down elsewhere", "[audit]") {
  AuditRig rig;
  rig.append({read_of(1), read_of(2)});
  const auto short_log = rig.kv.snapshot();
  rig.append({read_of(3), read_of(4)});
  const WallTime noon{20'000 * kDayUs + kDayUs / 2};
  const auto root = make_root(rig.kv, kKey, noon).value();
  REQUIRE(root.has_value());
  CHECK(root->number == 4);
  CHECK(is_genuine(*root));
  CHECK_FALSE(make_root(rig.kv, kKey, {noon.us + 60'000'000}).value().has_value());
  CHECK(make_root(rig.kv, kKey, {noon.us + kDayUs}).value().has_value());
  CHECK(rig.wrong().empty());
  CHECK(audit_roots(rig.kv).value().size() == 2);
  CHECK(to_json(*root).find("\"day\":\"2024-10-04\"") != std::string::npos);
  const AuditKnown known = audit_known("4:" + hex(view(root->c))).value();
  CHECK(rig.wrong(known).empty());
  // Another signer's roots are not those of this region.
  CHECK(names(verify_audit(rig.kv, std::nullopt, SitePrivateKey{{4}}.public_key()).value().wrong, "another key"));
  CHECK(verify_audit(rig.kv, std::nullopt, kKey.public_key()).value().wrong.empty());

  SECTION("what is left proves itself; a copy of the root does not fit") {
    rig.kv.rollback(short_log);
    CHECK(rig.wrong().empty());
    CHECK(names(rig.wrong(known), "the end is cut off: what was noted down knows entry 4, the log ends with 2"));
    // Grown again to the same length, with other entries.
    rig.append({read_of(8), read_of(9)});
    CHECK(rig.wrong().empty());
    CHECK(names(rig.wrong(known), "entry 4 is another one than what was noted down says"));
  }
  SECTION("with the root left in place") {
    const auto stored = rig.kv.get(kMetaSpace, Bytes("y") + Bytes("\0\0\x4e\x20", 4)).value();
    REQUIRE(stored.has_value());
    rig.kv.rollback(short_log);
    rig.put(Bytes("y") + Bytes("\0\0\x4e\x20", 4), *stored);
    CHECK(names(rig.wrong(), "the root of \"2024-10-04\" knows entry 4"));
    Bytes forged = *stored;
    forged[7] = 2;  // says: it was about entry 2
    rig.put(Bytes("y") + Bytes("\0\0\x4e\x20", 4), forged);
    CHECK(names(rig.wrong(), "is not signed"));
  }
  for (const char* bad : {"", "4", "4:", "4:00", ":", "x:00", "-1:00"}) CHECK_FALSE(audit_known(bad).has_value());
}

TEST_CASE("a write that fails is no entry, and the log goes on as if it had not been tried", "[audit]") {
  AuditRig rig;
  rig.append({read_of(1)});
  rig.kv.fail_write(1, KvMemory::Failure::lost);
  CHECK_FALSE(append_audit(rig.kv, std::vector{read_of(2)}).has_value());
  rig.kv.heal();
  rig.append({read_of(3)});
  CHECK(rig.all().size() == 2);
  CHECK(rig.wrong().empty());
  SeededEntropy chance(4);
  rig.kv.crash(chance);
  CHECK(rig.all().size() == 2);
}

TEST_CASE("retention takes the oldest entries, to the day, never younger than half a year, and the chain holds from there", "[audit]") {
  AuditRig rig;
  const WallTime begin{20'000 * kDayUs};
  for (int64_t day = 0; day < 400; day += 10) rig.append({read_of(static_cast<uint8_t>(day / 10), "ward-3", {begin.us + day * kDayUs})});
  const WallTime now{begin.us + 400 * kDayUs};
  CHECK(expire_audit(rig.kv, 0, now, 1'000).value() == 0);
  CHECK(expire_audit(rig.kv, 365, now, 2).value() == 2);  // a step
  CHECK(expire_audit(rig.kv, 365, now, 1'000).value() == 2);
  CHECK(rig.wrong().empty());
  CHECK(rig.all().front().number == 5);
  CHECK(rig.all().back().entry.step == AuditStep::retention);
  CHECK(rig.all().back().entry.count == 2);
  CHECK(audit_head(rig.kv).value().expired == 4);
  // 1 day is not believed.
  CHECK(expire_audit(rig.kv, 1, now, 1'000).value() == 18);
  CHECK(rig.wrong().empty());
  CHECK(rig.all().front().entry.at.us == now.us - 180 * kDayUs);
  // What retention took is not missed; what somebody took behind it is.
  rig.erase(AuditRig::key(23));
  CHECK(names(rig.wrong(), "entry 23 is not there"));
}

TEST_CASE("an entry that a clock has put into the past keeps what follows a young one", "[audit]") {
  AuditRig rig;
  const WallTime now{20'000 * kDayUs};
  rig.append({read_of(1, "a", now), read_of(2, "a", {now.us - 1'000 * kDayUs})});
  CHECK(expire_audit(rig.kv, 200, now, 100).value() == 0);
}

TEST_CASE("a recall's report names who has read what it touches, each once", "[audit][recall]") {
  AuditRig rig;
  rig.commit({result(1, 1), result(2, 1), result(3, 1)});
  rig.follow();
  AuditEntry two = read_of(1);
  two.about.push_back(subject_of(ResultName{kFac, id_of(2)}));
  two.at.us += 5;
  AuditEntry refused = read_of(3, "nobody");
  refused.status = 404;
  AuditEntry asked = read_of(3, "asked");
  asked.step = AuditStep::asked;
  rig.append({read_of(1), two, read_of(2, "viewer-1"), read_of(9, "elsewhere"), refused, asked});
  const std::string model = hex(Bytes(32, 'm'));
  const auto found = report(rig.kv, RecallAsked{model, "", "", "", ""}).value();
  REQUIRE(found.readers->readers.size() == 2);
  CHECK(found.readers->readers[0].who == "viewer-1");
  CHECK(found.readers->readers[1].who == "ward-3");
  CHECK(found.readers->readers[1].results == 2);
  CHECK(found.readers->readers[1].reads == 2);
  CHECK(found.readers->readers[1].first.us + 5 == found.readers->readers[1].last.us);
  CHECK(found.readers->from == 0);
  CHECK(to_json(found).find(R"("readers":[{"who":"viewer-1","role":"fhir","results":1,)") != std::string::npos);
  CHECK(to_text(found).find("read by ward-3 (fhir): 2 of them, 2 times") != std::string::npos);
  // Of another site nobody has.
  CHECK(report(rig.kv, RecallAsked{model, "", "", "", "clinic-2"}).value().readers->readers.empty());
  // Looked at from the newest on, and said up to where.
  const auto part = report(rig.kv, RecallAsked{model, "", "", "", ""}, {}, 4).value();
  CHECK(part.readers->readers.size() == 1);
  CHECK(part.readers->from == 3);
  CHECK(recalls_text(rig.kv, "preview", "model=" + model).value().find("readers") == std::string::npos);
  CHECK(recalls_text(rig.kv, "preview", "model=" + model, 100).value().find("viewer-1") != std::string::npos);
}
