#include "schemas/record_text.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <limits>

using namespace egret;

TEST_CASE("a decimal is a JSON number of at most 64 characters", "[record]") {
  for (const char* good :
       {"0", "-0", "1", "10", "0.5", "-1.50", "1e5", "1E+05", "1e-300", "123456789.987654321"})
    CHECK(is_decimal(good));
  for (const char* bad : {"", "-", "+1", "01", "1.", ".5", "1e", "1e+", "1e301", "1e99999999999",
                          "0x1", "1 ", " 1", "NaN", "1,5", "1_0", "--1"}) {
    INFO(bad);
    CHECK(!is_decimal(bad));
  }
  CHECK(is_decimal(std::string(64, '1')));
  CHECK(!is_decimal(std::string(65, '1')));
}

TEST_CASE("decimals compare by value, exactly", "[record]") {
  CHECK(compare_decimal("0.99999999999999999999999999999", 1) < 0);
  CHECK(compare_decimal("1.00000000000000000000000000001", 1) > 0);
  CHECK(compare_decimal("1.000", 1) == 0);
  CHECK(compare_decimal("0.01e2", 1) == 0);
  CHECK(compare_decimal("100e-2", 1) == 0);
  CHECK(compare_decimal("-0", 0) == 0);
  CHECK(compare_decimal("-1e-300", 0) < 0);
  CHECK(compare_decimal("1e-300", 0) > 0);
  CHECK(compare_decimal("-2", -1) < 0);
  CHECK(compare_decimal("-0.5", -1) > 0);
  CHECK(compare_decimal("12", 100) < 0);
  CHECK(compare_decimal("0e300", 1) < 0);
}

TEST_CASE("a time is RFC 3339 and comes out as the same moment and offset", "[record]") {
  for (const char* text :
       {"2026-03-01T08:30:00Z", "2026-03-01T08:30:00+08:00", "2026-03-01T08:30:00.5-03:30",
        "1969-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z",
        "2024-02-29T00:00:00.000001+23:59"}) {
    INFO(text);
    const auto time = time_from_text(text);
    REQUIRE(time);
    CHECK(time_to_text(*time) == text);
  }
  CHECK(time_from_text("2026-03-01T08:30:00+08:00")->us ==
        time_from_text("2026-03-01T00:30:00Z")->us);
  CHECK(time_from_text("1970-01-01T00:00:01.25Z")->us == 1'250'000);
  for (const char* bad :
       {"", "2026-03-01", "2026-03-01T08:30Z", "2026-03-01 08:30:00Z", "2026-03-01t08:30:00z",
        "2026-03-01T08:30:00", "2026-02-29T08:30:00Z", "2026-13-01T08:30:00Z",
        "2026-03-01T24:00:00Z", "2026-03-01T08:60:00Z", "2026-03-01T08:30:60Z",
        "2026-03-01T08:30:00.Z", "2026-03-01T08:30:00.1234567Z", "2026-03-01T08:30:00+24:00",
        "2026-03-01T08:30:00+0800", "0000-01-01T00:00:00Z", "2026-03-01T08:30:00Zx",
        "+026-03-01T08:30:00Z", "0001-01-01T00:00:00+01:00"}) {
    INFO(bad);
    CHECK(!time_from_text(bad));
  }
}

TEST_CASE("uuids, hex and base64 have one value a text", "[record]") {
  CHECK(uuid_to_text(*uuid_from_text("6F1C1C52-0b58-4f0e-9d5a-3f7c1a2b3c4d")) ==
        "6f1c1c52-0b58-4f0e-9d5a-3f7c1a2b3c4d");
  for (const char* bad :
       {"", "6f1c1c520b584f0e9d5a3f7c1a2b3c4d", "6f1c1c52-0b58-4f0e-9d5a-3f7c1a2b3c4",
        "6f1c1c52-0b58-4f0e-9d5a-3f7c1a2b3c4g", "6f1c1c520-b58-4f0e-9d5a-3f7c1a2b3c4d"}) {
    CHECK(!uuid_from_text(bad));
  }
  CHECK(!bytes_from_hex("abc"));
  CHECK(!bytes_from_hex("-1"));
  CHECK(!bytes_from_hex("+1"));
  for (size_t n = 0; n < 20; ++n) {
    const Bytes bytes(n, '\xfe');
    CHECK(bytes_from_base64(bytes_to_base64(bytes)) == bytes);
  }
  for (const char* bad :
       {"A", "AA", "AAA", "AA=A", "AB==", "A===", "====", "AA==\n", " AAA", "AA-_", "AAAA="}) {
    INFO(bad);
    CHECK(!bytes_from_base64(bad));
  }
}

TEST_CASE("names of other standards are held to their grammar", "[record]") {
  CHECK(is_dicom_uid("1.2.840.10008.0"));
  for (const char* bad : {"", ".", "1.", ".1", "1..2", "01.2", "1.02", "1.2a"})
    CHECK(!is_dicom_uid(bad));
  CHECK(!is_dicom_uid("1." + std::string(63, '2')));
  CHECK(is_ucum("mg/dL"));
  CHECK(!is_ucum("mg dL"));
  CHECK(!is_ucum("\xc2\xb5g"));
  CHECK(is_media_type("application/fhir+json; charset=utf-8"));
  for (const char* bad :
       {"", "text", "text/", "/plain", "text/pl ain", "text/plain;\n", "te xt/plain"})
    CHECK(!is_media_type(bad));
  CHECK(is_name("gpu.temp_0:a/b-c"));
  CHECK(!is_name("0gpu"));
}

TEST_CASE("a double comes out as the same double, and never looks whole", "[record]") {
  for (const double value : {0.0, -0.0, 1.0, 0.1, 1e22, 1e300, 5e-324, -123456789.25,
                             std::numeric_limits<double>::max()}) {
    const std::string text = double_to_text(value);
    CHECK(std::strtod(text.c_str(), nullptr) == value);
    CHECK(text.find_first_of(".e") != std::string::npos);
  }
}
