#include "schemas/record.h"

#include <google/protobuf/unknown_field_set.h>

#include "schemas/chain.h"
#include "schemas/limits.h"
#include "schemas/record.pb.h"
#include "schemas/record_rules.h"
#include "tests/unit/schemas/record_samples.h"

using namespace egret;
using namespace egret::samples;

namespace {

v1::Body parsed(const Bytes& bytes) {
  v1::Body body;
  REQUIRE(body.ParseFromString(bytes));
  return body;
}

Errc code_of(ByteView body, const Facility& fac = kFac) {
  const auto checked = check_body(body, fac);
  REQUIRE(!checked.has_value());
  return checked.error().code;
}

v1::Arrival full_arrival() {
  v1::Arrival a;
  a.set_wall_us(7258118400000000);
  a.set_mono_ns(UINT64_MAX);
  a.set_boot_id(std::string(16, 'b'));
  a.set_clock_state(v1::Arrival::CLOCK_STATE_HOLDOVER);
  a.set_clock_off_ms(INT32_MIN);
  a.set_door(v1::Arrival::DOOR_HTTP);
  a.set_src_msg_id(std::string(128, 'k'));
  a.set_edge_id(std::string(64, 'e'));
  a.set_agent_version(std::string(64, 'v'));
  return a;
}

}  // namespace

TEST_CASE("a record is its body's length, its body and its arrival, and comes apart again",
          "[record]") {
  const auto record = join_record("body", "arrival");
  REQUIRE(record.has_value());
  CHECK(*record == std::string("\x04\0\0\0", 4) + "bodyarrival");
  const auto parts = split_record(*record);
  REQUIRE(parts.has_value());
  CHECK(parts->body == "body");
  CHECK(parts->arrival == "arrival");
  CHECK(split_record(join_record("body", "").value())->arrival.empty());
}

TEST_CASE("a record that is cut or says a wrong length is refused", "[record]") {
  for (const std::string& wrong : {std::string(), std::string("\x01\0\0", 3),
                                   std::string("\0\0\0\0", 4), std::string("\x05\0\0\0body", 8),
                                   std::string("\xff\xff\xff\xff"
                                               "body",
                                               8)}) {
    CHECK(split_record(wrong).error().code == Errc::bad_input);
  }
  CHECK(join_record("", "a").error().code == Errc::bad_input);
  const size_t fits = kRecordBytesMax - kLengthPrefixBytes - kBodyLengthBytes;
  CHECK(join_record(std::string(fits, 'x'), "").has_value());
  CHECK(join_record(std::string(fits, 'x'), "y").error().code == Errc::too_large);
  CHECK(split_record(std::string(kRecordBytesMax - kLengthPrefixBytes + 1, 'x')).error().code ==
        Errc::too_large);
}

TEST_CASE("the largest body and the largest arrival fit one record", "[record]") {
  const auto arrival = encode_arrival(full_arrival());
  REQUIRE(arrival.has_value());
  CHECK(arrival->size() <= kArrivalBytesMax);
  CHECK(check_arrival(*arrival).has_value());
  CHECK(join_record(std::string(kBodyBytesMax, 'x'), *arrival).has_value());
  v1::Arrival wrong = full_arrival();
  wrong.set_src_msg_id(std::string(129, 'k'));
  CHECK(encode_arrival(wrong).error().text == "arrival.src_msg_id: 129 bytes, at most 128");
  CHECK(check_arrival(wrong.SerializeAsString()).error().code == Errc::bad_input);
  CHECK(check_arrival(std::string(kArrivalBytesMax + 1, 'x')).error().code == Errc::too_large);
  CHECK(check_arrival("\xff").error().code == Errc::bad_input);
}

TEST_CASE("the same statement has one natural key, by whatever arrival it came", "[record]") {
  const Bytes body = body_of(full_result());
  v1::Arrival second = full_arrival();
  second.set_door(v1::Arrival::DOOR_MLLP);
  const auto a = join_record(body, *encode_arrival(full_arrival()));
  const auto b = join_record(body, *encode_arrival(second));
  CHECK(*a != *b);
  const auto key = check_body(split_record(*a)->body, kFac)->key;
  CHECK(key == check_body(split_record(*b)->body, kFac)->key);
  CHECK(key.kind == Kind::ai_result);
  CHECK(key.content == sha256(body));
}

TEST_CASE("fields that this program does not know survive, and change the identity", "[record]") {
  v1::Body body = parsed(body_of(minimal_result()));
  const Bytes known = body.SerializeAsString();
  body.GetReflection()->MutableUnknownFields(&body)->AddLengthDelimited(900, "from the future");
  body.mutable_ai_result()
      ->GetReflection()
      ->MutableUnknownFields(body.mutable_ai_result())
      ->AddVarint(901, 7);
  const Bytes newer = body.SerializeAsString();
  const auto checked = check_body(newer, kFac);
  REQUIRE(checked.has_value());
  CHECK(checked->key.content == sha256(newer));
  CHECK(checked->key != check_body(known, kFac)->key);
  const auto record = join_record(newer, "");
  CHECK(split_record(*record)->body == newer);
  v1::Body again = parsed(newer);
  const auto made = make_body(again, kFac);
  REQUIRE(made.has_value());
  CHECK(made->bytes == newer);
}

TEST_CASE(
    "what the cloud cannot take says why: another facility, an unknown kind, no body, a broken "
    "rule",
    "[record]") {
  const Bytes good = body_of(minimal_result());
  CHECK(check_body(good, kFac).has_value());
  CHECK(check_body(good, "clinic-8").error().text ==
        "facility_id: another facility's statement, allowed clinic-8");
  CHECK(code_of("") == Errc::bad_input);
  CHECK(code_of(good.substr(0, good.size() - 1)) == Errc::bad_input);
  CHECK(code_of(std::string(kBodyBytesMax + 1, 'x')) == Errc::too_large);
  v1::Body body = parsed(good);
  body.set_kind(static_cast<v1::Kind>(77));
  CHECK(code_of(body.SerializeAsString()) == Errc::unknown_kind);
  body.set_kind(v1::KIND_REVIEW);
  CHECK(code_of(body.SerializeAsString()) == Errc::bad_input);
  body = parsed(good);
  body.mutable_ai_result()->set_prob("1.7");
  body.mutable_ai_result()->set_prob_kind(v1::AiResult::PROB_KIND_RAW);
  CHECK(check_body(body.SerializeAsString(), kFac).error().text ==
        "ai_result.prob: 1.7: allowed 0 to 1");
  body = parsed(good);
  body.mutable_ai_result()->clear_critical();
  CHECK(check_body(body.SerializeAsString(), kFac).error().text == "ai_result.critical: missing");
  body = parsed(good);
  body.mutable_purpose()->SwapElements(0, 1);
  CHECK(check_body(body.SerializeAsString(), kFac).error().text.rfind("purpose: not in order", 0) ==
        0);
  body = parsed(good);
  body.clear_ai_result();
  CHECK(check_body(body.SerializeAsString(), kFac).error().text.find("no statement") !=
        std::string::npos);
}

TEST_CASE("a body of a newer schema is kept and its rules are not judged", "[record]") {
  v1::Body body = parsed(body_of(minimal_result()));
  body.set_schema(2);
  body.mutable_ai_result()->clear_run_id();
  const auto checked = check_body(body.SerializeAsString(), kFac);
  REQUIRE(checked.has_value());
  CHECK(checked->opaque);
  CHECK(checked->schema == 2);
  CHECK(check_body(body.SerializeAsString(), "clinic-8").error().code == Errc::wrong_facility);
  CHECK(make_body(body, kFac).error().code == Errc::unsupported);
}

TEST_CASE("only a critical result takes lane 0, and only telemetry lane 2", "[record]") {
  for (const auto& json : all_kinds()) {
    const auto made = body_from_json(json, kFac);
    REQUIRE(made.has_value());
    const v1::Body body = parsed(made->bytes);
    const bool critical = made->key.kind == Kind::ai_result && body.ai_result().critical();
    const StreamId lane = critical                                  ? StreamId::critical
                          : made->key.kind == Kind::telemetry_batch ? StreamId::telemetry
                                                                    : StreamId::result;
    CHECK(made->lane == lane);
    CHECK(lane_of(body) == lane);
    CHECK(check_body(made->bytes, kFac)->lane == lane);
  }
}

TEST_CASE(
    "a logical_id follows from the source's id, is the same in every version, and costs no byte",
    "[record]") {
  const std::string sourced =
      with(with(minimal_result(), R"("version":1)", R"("source_system":"ai-box","version":1)"),
           R"("phi":{)", R"("phi":{"source_result_id":"R-1",)");
  const auto one = body_from_json(sourced, kFac);
  REQUIRE(one.has_value());
  const Uuid id = *one->logical_id;
  CHECK(text_of(id).substr(14, 1) == "8");
  const auto two =
      body_from_json(with(with(sourced, "\"version\":1", "\"version\":2"), "P-1", "P-2"), kFac);
  CHECK(*two->logical_id == id);
  CHECK(two->key != one->key);
  CHECK(*body_from_json(with(sourced, "R-1", "R-2"), kFac)->logical_id != id);
  CHECK(*body_from_json(with(sourced, "ai-box", "ai-bo"), kFac)->logical_id != id);
  CHECK(*body_from_json(sourced, "clinic-8")->logical_id != id);
  CHECK(parsed(one->bytes).ai_result().logical_id().empty());
  const auto stated = body_from_json(
      with(sourced, R"("version":1)", R"("version":1,"logical_id":")" + text_of(id) + "\""), kFac);
  CHECK(stated->bytes == one->bytes);
  const auto own = body_from_json(
      with(sourced, R"("version":1)", R"("version":1,"logical_id":")" + kUuid + "\""), kFac);
  CHECK(text_of(*own->logical_id) == kUuid);
  CHECK(own->bytes.size() == one->bytes.size() + 18);
}

TEST_CASE(
    "without a source's id a logical_id follows from model, subject, object, time, code and item",
    "[record]") {
  const std::string base = with(minimal_result(R"(,"device_time":"08:30","item_no":1)"),
                                R"("phi":{)", R"("phi":{"study_uid":"1.2",)");
  const Uuid id = *body_from_json(base, kFac)->logical_id;
  // What may be corrected later is no part of it.
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"\"version\":1", "\"version\":2"},
                                                        {"preliminary", "final"},
                                                        {"1.50", "1.51"},
                                                        {"08:30:05.5", "08:31:05.5"},
                                                        {"T08:30:00", "T08:29:59"}}) {
    CHECK(*body_from_json(with(base, from, to), kFac)->logical_id == id);
  }
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"aaaa", "baaa"},
                                                        {"P-1", "P-2"},
                                                        {"\"1.2\"", "\"1.3\""},
                                                        {"\"08:30\"", "\"08:31\""},
                                                        {"71490-7", "71491-5"},
                                                        {"\"item_no\":1", "\"item_no\":2"}}) {
    CHECK(*body_from_json(with(base, from, to), kFac)->logical_id != id);
  }
  // Pinned: an id that changed with a release would split every result from its reviews.
  CHECK(text_of(id) == "3c8cd5d1-0d12-8aa3-8ba5-17ac4806f81d");
}

TEST_CASE("a model has the same name at every facility", "[record]") {
  const std::string json = all_kinds()[9];
  const auto here = body_from_json(json, kFac);
  const auto there = body_from_json(json, "clinic-8");
  REQUIRE(here.has_value());
  CHECK(here->key != there->key);
  CHECK(*here->model_ref == *there->model_ref);
  CHECK(*here->model_ref == model_ref_of(parsed(here->bytes).model_def()));
  CHECK(*body_from_json(with(json, "\"1.2\"", "\"1.3\""), kFac)->model_ref != *here->model_ref);
}

TEST_CASE("kinds have the numbers they were given", "[record]") {
  CHECK(int(Kind::ai_result) == 1);
  CHECK(int(Kind::review) == 2);
  CHECK(int(Kind::identity_link) == 3);
  CHECK(int(Kind::retraction) == 4);
  CHECK(int(Kind::model_def) == 5);
  CHECK(int(Kind::telemetry_batch) == 6);
  CHECK(int(Kind::source_document) == 7);
  CHECK(int(Kind::document_part) == 8);
  CHECK(int(Kind::agent_event) == 9);
  for (int kind = 1; kind <= 9; ++kind) {
    CHECK(rules_of<v1::Body>().find(name_of(static_cast<Kind>(kind)))->field->number() ==
          15 + kind);
  }
}

TEST_CASE("damaged bytes never crash the check, and what passes it can be written", "[record]") {
  std::mt19937 chance(11);
  size_t refused = 0;
  for (const auto& json : all_kinds()) {
    const Bytes good = body_of(json);
    for (int i = 0; i < 500; ++i) {
      Bytes bent = good;
      for (int edits = 0; edits < 3; ++edits)
        bent[chance() % bent.size()] = static_cast<char>(chance());
      if (check_body(bent, kFac)) {
        const auto written = json_from_body(bent);
        REQUIRE(written.has_value());
        // A label of a copied key or an enum in a set may read otherwise; text it must be.
        CHECK(written->size() > 2);
      } else {
        ++refused;
      }
      (void)json_from_body(bent);
    }
  }
  CHECK(refused > 1000);
}
