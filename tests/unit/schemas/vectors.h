// Test vectors: published values as hex in JSON, read as bytes.
// Promises: a missing file, field or odd hex digit fails the test that asked.
// Leaves to others: what the values mean.
#pragma once

#include <simdjson.h>

#include <catch2/catch.hpp>
#include <string>

#include "schemas/types.h"

namespace egret::test {

inline Bytes unhex(std::string_view digits) {
  REQUIRE(digits.size() % 2 == 0);
  Bytes out;
  for (size_t i = 0; i < digits.size(); i += 2) {
    size_t used = 0;
    out.push_back(char(std::stoi(std::string(digits.substr(i, 2)), &used, 16)));
    REQUIRE(used == 2);
  }
  return out;
}

template <size_t N = 32>
std::array<uint8_t, N> unhex_array(std::string_view digits) {
  const Bytes b = unhex(digits);
  REQUIRE(b.size() == N);
  return take<N>(b);
}

// One object of a vector file.
class Vector {
 public:
  explicit Vector(simdjson::dom::element e) : e_(e) {}
  std::string text(const char* field) const { return std::string(std::string_view(e_[field])); }
  int64_t number(const char* field) const { return int64_t(e_[field]); }
  Bytes bytes(const char* field) const { return unhex(text(field)); }
  std::array<uint8_t, 32> key(const char* field) const { return unhex_array(text(field)); }
  simdjson::dom::array list(const char* field) const { return e_[field]; }

 private:
  simdjson::dom::element e_;
};

// `file` lies under tests/data.
template <class Visit>
void for_each_vector(const std::string& file, Visit visit) {
  simdjson::dom::parser parser;
  simdjson::dom::array all = parser.load(std::string(EGRET_SOURCE_DIR) + "/tests/data/" + file);
  REQUIRE(all.size() > 0);
  for (auto e : all) visit(Vector(e));
}

}  // namespace egret::test
