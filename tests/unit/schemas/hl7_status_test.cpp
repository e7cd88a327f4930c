// Rule 9: the statuses of HL7 v2, one by one.
#include "schemas/hl7_status.h"

#include <catch2/catch.hpp>

#include "schemas/record.pb.h"

using namespace egret;
using Makes = Hl7Meaning::Makes;

namespace {

void is_version(std::string_view code, v1::AiResult::Status status, bool has_value) {
  INFO(code);
  const auto meaning = hl7_status(code);
  REQUIRE(meaning);
  CHECK(meaning->makes == Makes::version);
  CHECK(meaning->status == status);
  CHECK(meaning->has_value == has_value);
}

}  // namespace

TEST_CASE("rule 9: R, S and P are preliminary, I is registered without a value, X is cancelled without one", "[merge][rule 9]") {
  for (const char* code : {"R", "S", "P"}) is_version(code, v1::AiResult::STATUS_PRELIMINARY, true);
  is_version("I", v1::AiResult::STATUS_REGISTERED, false);
  is_version("X", v1::AiResult::STATUS_CANCELLED, false);
}

TEST_CASE("rule 9: F is final; U is final with the values of before, and says so", "[merge][rule 9]") {
  is_version("F", v1::AiResult::STATUS_FINAL, true);
  CHECK_FALSE(hl7_status("F")->unchanged);
  is_version("U", v1::AiResult::STATUS_FINAL, false);
  CHECK(hl7_status("U")->unchanged);
}

TEST_CASE("rule 9: N is an answer that was not asked for, which is a reason and no value", "[merge][rule 9]") {
  is_version("N", v1::AiResult::STATUS_FINAL, false);
  CHECK(hl7_status("N")->not_asked);
  CHECK_FALSE(hl7_status("N")->unchanged);
}

TEST_CASE("rule 9: V is a review of what is there, and no version", "[merge][rule 9]") {
  REQUIRE(hl7_status("V"));
  CHECK(hl7_status("V")->makes == Makes::review);
  CHECK_FALSE(hl7_status("V")->has_value);
}

TEST_CASE("rules 9 and 10: C corrects, A amends, B amends beside what was said", "[merge][rule 9]") {
  is_version("C", v1::AiResult::STATUS_CORRECTED, true);
  is_version("A", v1::AiResult::STATUS_AMENDED, true);
  CHECK_FALSE(hl7_status("A")->addendum);
  is_version("B", v1::AiResult::STATUS_AMENDED, true);
  CHECK(hl7_status("B")->addendum);
}

TEST_CASE("rules 9 and 11: D and W take the result back", "[merge][rule 9]") {
  for (const char* code : {"D", "W"}) {
    REQUIRE(hl7_status(code));
    CHECK(hl7_status(code)->makes == Makes::retraction);
  }
}

TEST_CASE("rule 9: O states no result; what is no code of the table has no meaning", "[merge][rule 9]") {
  REQUIRE(hl7_status("O"));
  CHECK(hl7_status("O")->makes == Makes::nothing);
  for (const char* code : {"", "Z", "E", "FF", " F", "1", "\xc3\xa9"}) CHECK_FALSE(hl7_status(code));
  CHECK(hl7_status("f")->status == v1::AiResult::STATUS_FINAL);
  for (char c = 'A'; c <= 'Z'; c++) CHECK(hl7_status(std::string(1, c)).has_value() == (std::string("ABCDFINOPRSUVWX").find(c) != std::string::npos));
}
