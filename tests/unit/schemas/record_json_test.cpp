#include "schemas/record_json.h"

#include <filesystem>
#include <set>

#include "schemas/limits.h"
#include "schemas/record_json_syntax.h"
#include "tests/unit/schemas/record_samples.h"

using namespace egret;
using namespace std::string_literals;
using namespace egret::samples;

namespace {

std::string error_of(const std::string& json) {
  const auto made = body_from_json(json, kFac);
  return made ? "accepted" : made.error().text;
}

std::vector<JsonOutcome> read_all(ByteView text, JsonForm form) {
  std::vector<JsonOutcome> outcomes;
  const auto read =
      records_from_json(text, form, kFac, [&](JsonOutcome o) { outcomes.push_back(std::move(o)); });
  REQUIRE(read.has_value());
  return outcomes;
}

}  // namespace

TEST_CASE("a record of every kind goes from JSON to a body and back to the same bytes",
          "[record]") {
  std::set<Kind> kinds;
  for (const auto& json : all_kinds()) {
    INFO(json);
    const auto made = body_from_json(json, kFac);
    REQUIRE((made ? "" : made.error().text) == "");
    kinds.insert(made->key.kind);
    const auto written = json_from_body(made->bytes);
    REQUIRE(written.has_value());
    INFO(*written);
    REQUIRE(!find_malformed(*written));
    const auto again = body_from_json(*written, kFac);
    REQUIRE((again ? "" : again.error().text) == "");
    CHECK(again->bytes == made->bytes);
    CHECK(*json_from_body(again->bytes) == *written);
    CHECK(check_body(made->bytes, kFac)->key == made->key);
  }
  CHECK(kinds.size() == 9);
}

TEST_CASE("the order of keys and the blanks between them do not change a body", "[record]") {
  std::mt19937 chance(7);
  for (const auto& json : all_kinds()) {
    const auto made = body_from_json(json, kFac);
    REQUIRE(made.has_value());
    for (int i = 0; i < 20; ++i) {
      const std::string other = shuffled(json, chance);
      INFO(other);
      const auto again = body_from_json(other, kFac);
      REQUIRE((again ? "" : again.error().text) == "");
      CHECK(again->bytes == made->bytes);
    }
  }
}

TEST_CASE("a decimal comes out with the digits it came in with", "[record]") {
  for (const std::string digits :
       {"1.50", "1e5", "1E+5", "-0", "-0.0", "0.123456789012345678", "100000000000000000000000000",
        "1.000000000000000000000000000001", "1e-300",
        "12345678901234567890.12345678901234567890"}) {
    INFO(digits);
    const auto made = body_from_json(
        minimal_result("", R"({"quantity":{"value":)" + digits + R"(,"unit":"1"}})"), kFac);
    REQUIRE((made ? "" : made.error().text) == "");
    CHECK(json_from_body(made->bytes)->find("\"value\":" + digits + ",") != std::string::npos);
  }
}

TEST_CASE("values of real FHIR Observations keep every digit", "[record]") {
  std::istringstream lines(read_zstd("tests/data/fhir/synthea/Observation.ndjson.zst"));
  std::string line;
  size_t checked = 0;
  size_t long_ones = 0;
  while (std::getline(lines, line)) {
    const std::string mark = R"("valueQuantity":{"value":)";
    const size_t at = line.find(mark);
    if (at == std::string::npos) continue;
    const size_t start = at + mark.size();
    const std::string digits = line.substr(start, line.find_first_of(",}", start) - start);
    const auto made = body_from_json(
        minimal_result("", R"({"quantity":{"value":)" + digits + R"(,"unit":"1"}})"), kFac);
    REQUIRE((made ? "" : made.error().text) == "");
    REQUIRE(json_from_body(made->bytes)->find("\"value\":" + digits + ",") != std::string::npos);
    ++checked;
    long_ones += digits.size() > 16 ? 1 : 0;
  }
  CHECK(checked > 500);
  CHECK(long_ones > 100);  // these would not survive a double
}

TEST_CASE("one bad line among a thousand is named by line and field, and 999 are taken",
          "[record]") {
  std::string text;
  for (int i = 1; i <= 1000; ++i)
    text += minimal_result(i == 17 ? R"(,"prob":1.7,"prob_kind":"raw")" : "") + "\n";
  const auto outcomes = read_all(text, JsonForm::lines);
  REQUIRE(outcomes.size() == 1000);
  size_t taken = 0;
  for (const auto& o : outcomes) taken += o.result ? 1 : 0;
  CHECK(taken == 999);
  REQUIRE(!outcomes[16].result.has_value());
  CHECK(outcomes[16].number == 17);
  CHECK(outcomes[16].result.error().text == "line 17: ai_result.prob: 1.7: allowed 0 to 1");
}

TEST_CASE("a broken line, an empty line and a line end of Windows leave their neighbours alone",
          "[record]") {
  const std::string one = minimal_result();
  const auto outcomes = read_all("{\"sens\":\n\n" + one + "\r\n  \n" + one, JsonForm::automatic);
  REQUIRE(outcomes.size() == 3);
  CHECK(outcomes[0].result.error().text.rfind("line 1: malformed JSON", 0) == 0);
  CHECK((outcomes[1].number == 3 && outcomes[1].result));
  CHECK((outcomes[2].number == 5 && outcomes[2].result));
}

TEST_CASE("an array of records has an outcome a record; an array that breaks off has none",
          "[record]") {
  const std::string one = minimal_result();
  const auto outcomes = read_all(" [" + one + ", 5,\n" + one + "] ", JsonForm::document);
  REQUIRE(outcomes.size() == 3);
  CHECK(outcomes[0].result.has_value());
  CHECK(outcomes[1].result.error().text == "record 2: a number, must be an object");
  CHECK(outcomes[2].result.has_value());
  for (const std::string& broken :
       std::vector<std::string>{"[" + one, "[" + one + "}", "[" + one + ",]", "[" + one + "] x",
                                "[,]", "[]", "", "  "}) {
    INFO(broken.substr(0, 20));
    bool called = false;
    CHECK(!records_from_json(broken, JsonForm::document, kFac, [&](JsonOutcome) {
             called = true;
           }).has_value());
    CHECK(!called);
  }
}

TEST_CASE("one record over many lines is told from a record a line", "[record]") {
  std::string pretty = minimal_result();
  for (size_t at = 0; (at = pretty.find(',', at)) != std::string::npos; at += 2)
    pretty.insert(at + 1, "\n");
  CHECK(read_all(pretty, JsonForm::automatic).size() == 1);
  CHECK(read_all(pretty, JsonForm::automatic)[0].result.has_value());
  CHECK(read_all(minimal_result() + "\n" + minimal_result(), JsonForm::automatic).size() == 2);
  CHECK(read_all("[" + minimal_result() + "]", JsonForm::automatic).size() == 1);
}

TEST_CASE("every mistake is named by its field and what is allowed", "[record]") {
  const std::string good = full_result();
  struct Mistake {
    const char* from;
    std::string to;
    std::string error;
  };
  const std::vector<Mistake> mistakes = {
      {R"("sens":4)", R"("sens":6)", "sens: 6: allowed 1 to 5"},
      {R"("sens":4)", R"("sens":"4")", "sens: a string, must be a number"},
      {R"("sens":4)", R"("sens":4.0)", "sens: 4.0: must be a whole number"},
      {R"("sens":4,)", "", "sens: missing, allowed 1 to 5"},
      {R"("sens":4)", R"("sens":null)", "sens: null, must be a number: or leave the field out"},
      {R"("sens":4)", R"("sens":4,"sens":4)", "sens: the field is there twice"},
      {R"("sens":4)", R"("sens":4,"kind":"review")",
       "kind: review, but the statement is ai_result"},
      {R"("sens":4)", R"("sens":4,"kind":"recipe")", "kind: none of ai_result"},
      {R"("sens":4)", R"("sens":4,"schema":2)", "schema: 2: this program writes 1"},
      {R"("sens":4)", R"("sens":4,"facility_id":"clinic-8")",
       "facility_id: another facility's statement, allowed clinic-7"},
      {R"("care","quality")", R"("care","care")", "purpose: one item is there twice"},
      {R"(["care","quality"])", "[]", "purpose: empty: leave the field out"},
      {R"("prob":0.94)", R"("probb":0.94)",
       "ai_result: unknown field \"probb\", did you mean \"prob\"?"},
      {R"("prob":0.94)", R"("Zhang Wei":0.94)", "ai_result: unknown field of 9 characters"},
      {R"("prob":0.940000000000000001)", R"("prob":1.0000000000000000000000000001)",
       "ai_result.prob: allowed 0 to 1"},
      {R"("prob":0.940000000000000001)", R"("prob":-0.1)", "ai_result.prob: -0.1: allowed 0 to 1"},
      {R"("prob":0.940000000000000001)", R"("prob":1e999)",
       "ai_result.prob: 5 bytes, allowed a number"},
      {R"("prob":0.940000000000000001,)", "", "ai_result.prob: missing: ci_hi is there"},
      {R"("ci_lo":0.90)", R"("ci_lo":0.995)", "ai_result.ci_lo: above ci_hi"},
      {R"("run_id":")", R"("run_id":"x)", "ai_result.run_id: 37 bytes, allowed a uuid"},
      {R"("model_ref":"aa)", R"("model_ref":"zz)",
       "ai_result.model_ref: 64 bytes, allowed 64 hex digits"},
      {R"("ack_deadline_s":600,)", "", "ai_result.ack_deadline_s: missing: critical is true"},
      {R"("status":"corrected")", R"("status":"done")",
       "ai_result.status: none of registered, preliminary, final"},
      {R"("study_uid":"1.2.840.1")", R"("study_uid":"1.02.840")",
       "ai_result.phi.study_uid: 8 bytes, allowed a DICOM uid"},
      {R"("study_uid":"1.2.840.1",)", "", "ai_result.phi.study_uid: missing: series_uid is there"},
      {R"("series_uid":["1.2.3","1.2.4"])", R"("series_uid":["1.2.3","x"])",
       "ai_result.phi.series_uid[1]: 1 bytes, allowed a DICOM uid"},
      {R"("birth_year":1961)", R"("birth_year":1061)",
       "ai_result.phi.birth_year: allowed 1850 to 2200"},
      {R"("accession":"A-1")", R"("accession":"")",
       "ai_result.phi.accession: empty: leave the field out"},
      {R"("accession":"A-1")", R"("accession":"A\u0000")",
       "ai_result.phi.accession: 2 bytes, allowed text without control characters"},
      {R"("t_issued":"2026-03-01T08:32:00Z")", R"("t_issued":"2026-02-30T08:32:00Z")",
       "ai_result.t_issued: 20 bytes, allowed a time like"},
      {R"("t_effective_end":"2026)", R"("t_effective_end":"2025)",
       "ai_result.t_effective_end: before t_effective"},
      {R"("value":{"ratio")", R"("absent_reason":{"system":"s","code":"c"},"value":{"ratio")",
       "ai_result: 2 of value, absent_reason or no_value is there, exactly one must be"},
      {R"("value":{"ratio")", R"("value":{"integer":1,"ratio")",
       "ai_result.value.ratio: two answers where one is allowed: value"},
      {R"({"text":"ok"})", R"({"text":["ok"]})",
       "ai_result.components[0].value.text: an array, must be a string"},
      {R"("interp":["aa")", R"("interp":["zz")", "ai_result.interp[0]: none of n, a, aa"},
      {R"("unit":"1"},"denominator")", R"("unit":"a b"},"denominator")",
       "ai_result.value.ratio.numerator.unit: 3 bytes, allowed a UCUM unit"},
      {R"("queue_ms":0)", R"("queue_ms":4294967296)",
       "ai_result.queue_ms: outside of 0 to 4294967295"},
      {R"("ai_result":{)", R"("review":{)", "review.version: "},
  };
  REQUIRE(error_of(good) == "accepted");
  for (const auto& m : mistakes) {
    const std::string text = error_of(with(good, m.from, m.to));
    INFO(m.to << "\n" << text);
    if (m.error == "review.version: ") {
      CHECK(text.rfind("review: unknown field \"version\"", 0) == 0);
    } else {
      CHECK(text.rfind(m.error, 0) == 0);
    }
  }
}

TEST_CASE("a text that is no JSON is called that, whatever rule it breaks besides", "[record]") {
  const std::string good = minimal_result();
  const std::vector<std::string> broken = {good.substr(0, good.size() - 1),
                                           good + "}",
                                           good + " {}",
                                           good + "\0"s,
                                           with(good, "1.50", "01.5"),
                                           with(good, "1.50", "1."),
                                           with(good, "1.50", "+1"),
                                           with(good, "1.50", "NaN"),
                                           with(good, "1.50", "0x10"),
                                           with(good, "1.50", ".5"),
                                           with(good, "true", "tru"),
                                           with(good, "true", "truee"),
                                           with(good, "P-1", "\xff"),
                                           with(good, "P-1", "\xed\xa0\x80"),
                                           with(good, "P-1", "\\ud800"),
                                           with(good, "P-1", "\\udc00 x"),
                                           with(good, "P-1", "\\x"),
                                           with(good, "P-1", "a\nb"),
                                           with(good, "P-1", "a\0b"s),
                                           with(good, ",", ",,"),
                                           with(good, "\"sens\":", "\"sens\""),
                                           with(good, "{\"sens\"", "{sens"),
                                           with(good, "4", "4,}"),
                                           with(good, "}", "]")};
  for (const auto& json : broken) {
    INFO(json);
    CHECK(error_of(json).rfind("malformed JSON", 0) == 0);
  }
  const std::string deep = std::string(40, '[') + std::string(40, ']');
  CHECK(error_of(with(good, "1.50", deep)).find("nested too deep, allowed 32 levels") !=
        std::string::npos);
  const std::string just = std::string(28, '[') + std::string(28, ']');
  CHECK(error_of(with(good, "1.50", just)) ==
        "ai_result.value.quantity.value: an array, must be a number");
}

TEST_CASE("what is too large is refused with its size and the limit", "[record]") {
  const std::string good = minimal_result();
  CHECK(error_of(with(good, "P-1", std::string(129, 'x'))) ==
        "ai_result.phi.subject.value: 129 bytes, at most 128");
  CHECK(error_of(with(good, "P-1", std::string(128, 'x'))) == "accepted");
  const auto huge =
      body_from_json(with(good, "P-1", std::string(kJsonDocumentBytesMax, 'x')), kFac);
  REQUIRE(!huge.has_value());
  CHECK(huge.error().code == Errc::too_large);
  CHECK(huge.error().text.find("at most 262,144") != std::string::npos);
  std::string components;
  for (int i = 0; i < 64; ++i) {
    components += std::string(i ? "," : "") +
                  R"({"code":[{"system":"s","code":"c"}],"value":{"text":")" +
                  std::string(1024, 'x') + "\"}}";
  }
  const auto fat = body_from_json(minimal_result(",\"components\":[" + components + "]"), kFac);
  REQUIRE(!fat.has_value());
  CHECK(fat.error().code == Errc::too_large);
  CHECK(error_of(minimal_result(",\"components\":[" + components + "," + components + "]")) ==
        "ai_result.components: more than 64 items");
  std::string lines;
  for (size_t i = 0; i <= kRecordsPerRequestMax; ++i) lines += "{}\n";
  const auto many =
      records_from_json(lines, JsonForm::lines, kFac, [](JsonOutcome) { FAIL("called"); });
  CHECK((!many && many.error().code == Errc::too_large));
  const auto array = records_from_json(
      "[" + std::string(2 * kRecordsPerRequestMax, ' ') +
          [] {
            std::string items = "1";
            for (size_t i = 0; i < kRecordsPerRequestMax; ++i) items += ",1";
            return items;
          }() +
          "]",
      JsonForm::document, kFac, [](JsonOutcome) { FAIL("called"); });
  CHECK((!array && array.error().code == Errc::too_large));
}

TEST_CASE("no error text holds patient data, however a document is damaged", "[record]") {
  // No four letters of these occur in a field name or in an error text.
  const std::vector<std::string> secrets = {"QZhqWjqXv", "7739-5528-9917", "Kx9#Vw8!",
                                            "\xe5\xbc\xa0\xe4\xbc\x9f\xe5\x88\x9a"};
  std::string good = full_result();
  good = with(good, "P-1", secrets[0]);
  good = with(good, "A-1", secrets[1]);
  good = with(good, "line one", secrets[2] + secrets[0]);
  good = with(good, R"("text":"ok")", R"("text":")" + secrets[3] + secrets[2] + "\"");
  good = with(good, "R-1", secrets[0] + secrets[1]);
  good = with(good, "E-1", secrets[3]);
  REQUIRE(error_of(good) == "accepted");
  std::mt19937 chance(20260301);
  const auto upto = [&](size_t n) {
    return std::uniform_int_distribution<size_t>(0, n - 1)(chance);
  };
  size_t refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string bent = good;
    for (size_t edits = 1 + upto(3); edits > 0; --edits) {
      const size_t at = upto(bent.size());
      switch (upto(5)) {
        case 0:
          bent[at] = static_cast<char>(upto(256));
          break;
        case 1:
          bent.erase(at, 1 + upto(12));
          break;
        case 2:
          bent.insert(at, bent.substr(upto(bent.size()), 1 + upto(40)));
          break;
        case 3:
          bent.insert(at, secrets[upto(secrets.size())]);
          break;
        default:
          bent.insert(at, std::string(1, "{}[]\",:0\\"[upto(9)]));
          break;
      }
    }
    const auto made = body_from_json(bent, kFac);
    if (made) continue;
    ++refused;
    for (const auto& secret : secrets) {
      for (size_t k = 0; k + 4 <= secret.size(); ++k) {
        if (made.error().text.find(secret.substr(k, 4)) == std::string::npos) continue;
        FAIL("an error text holds a secret: " << made.error().text);
      }
    }
  }
  CHECK(refused > 10'000);
}

TEST_CASE("a long number is not repeated in an error, for it may be somebody's", "[record]") {
  CHECK(error_of(minimal_result(R"(,"prob":13912345678,"prob_kind":"raw")")) ==
        "ai_result.prob: allowed 0 to 1");
  CHECK(error_of(minimal_result(R"(,"item_no":440106196103070011)")) ==
        "ai_result.item_no: outside of 0 to 65535");
}

TEST_CASE("JSONTestSuite: n_ is malformed, y_ is not, nothing crashes", "[record]") {
  size_t accepted_as_json = 0;
  size_t refused = 0;
  const std::string folder = "tests/data/json/JSONTestSuite";
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(EGRET_SOURCE_DIR) + "/" + folder)) {
    const std::string name = entry.path().filename().string();
    INFO(name);
    const std::string text = read_file(folder + "/" + name);
    std::vector<std::string> reasons;
    const auto read = records_from_json(text, JsonForm::document, kFac, [&](JsonOutcome o) {
      CHECK(!o.result.has_value());  // none of them is a record
      reasons.push_back(o.result ? "" : o.result.error().text);
    });
    if (!read) reasons.push_back(read.error().text);
    REQUIRE(!reasons.empty());
    bool malformed = false;
    for (const auto& reason : reasons) {
      CHECK(!reason.empty());
      malformed = malformed || reason.find("malformed JSON") != std::string::npos;
    }
    if (name.rfind("y_", 0) == 0) {
      CHECK(!malformed);
      CHECK(!find_malformed(text));
      ++accepted_as_json;
    }
    if (name.rfind("n_", 0) == 0) {
      CHECK(malformed);
      CHECK(find_malformed(text));
      ++refused;
    }
  }
  CHECK(accepted_as_json == 64);
  CHECK(refused == 126);
}
