// A region's signed statement: what is written opens as it was; what was changed, in any byte, does not.
#include "schemas/statement.h"

#include <catch2/catch.hpp>

using namespace egret;

namespace {

SitePrivateKey key_of(uint8_t n) {
  SitePrivateKey key;
  key.seed.fill(n);
  return key;
}

Statement sample() {
  Statement s;
  s.fac = "clinic-7";
  s.made = {1'800'000'000'000'001};
  s.last_seen = {1'800'000'000'000'000};
  s.gen = UINT64_MAX;
  s.records = 10;
  s.duplicates = 2;
  s.quarantined = 1;
  s.gap_records = 4;
  Hash c{};
  c.fill(0xab);
  s.rows.push_back({{{UINT64_MAX}, StreamId::telemetry}, {9}, c, {12}, true, false, true, false, {{{3}, {6}, GapKind::shed, true}}, 7});
  s.rows.push_back({{{1}, StreamId::critical}, {0}, {}, {0}, false, true, false, true, {}, 0});
  return s;
}

}  // namespace

TEST_CASE("a statement opens as it was signed", "[statement]") {
  const Bytes file = sign_statement(sample(), key_of(1)).value();
  const auto opened = open_statement(file, key_of(1).public_key());
  REQUIRE(opened.has_value());
  CHECK(opened->signer == key_of(1).public_key());
  // Written again it is the same, so nothing was lost.
  CHECK(sign_statement(opened->statement, key_of(1)).value() == file);
  const Statement& s = opened->statement;
  CHECK(s.fac == "clinic-7");
  CHECK(s.gen == UINT64_MAX);
  REQUIRE(s.rows.size() == 2);
  CHECK(s.rows[0].key == StreamKey{{UINT64_MAX}, StreamId::telemetry});
  CHECK(s.rows[0].gaps.at(0).kind == GapKind::shed);
  CHECK(s.rows[0].more_gaps == 7);
}

TEST_CASE("a changed byte, wherever it is, is found", "[statement]") {
  const Bytes file = sign_statement(sample(), key_of(1)).value();
  for (size_t at = 0; at < file.size(); at++) {
    for (const int bit : {0, 5}) {
      Bytes changed = file;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      const auto opened = open_statement(changed, key_of(1).public_key());
      // Hex digits are read in either case: the same signature in other clothes is the same statement.
      if (opened) CHECK(sign_statement(opened->statement, key_of(1)).value() == file);
      if (opened) CHECK(at > file.find('\n'));
    }
  }
  for (size_t size = 0; size < file.size(); size++) CHECK_FALSE(open_statement(file.substr(0, size), key_of(1).public_key()).has_value());
  CHECK_FALSE(open_statement(file + "\n", key_of(1).public_key()).has_value());
}

TEST_CASE("a statement of another signer, or that signs itself, is refused", "[statement]") {
  const Bytes theirs = sign_statement(sample(), key_of(2)).value();
  CHECK(open_statement(theirs, key_of(1).public_key()).error().code == Errc::bad_signature);
  Bytes renamed = theirs;
  renamed.replace(renamed.find(hex(view(key_of(2).public_key().point))), 64, hex(view(key_of(1).public_key().point)));
  CHECK(open_statement(renamed, key_of(1).public_key()).error().code == Errc::bad_signature);
}

TEST_CASE("what is signed but no statement is named", "[statement]") {
  const auto refused = [](const std::string& from, const std::string& to) {
    Statement s = sample();
    const Bytes file = sign_statement(s, key_of(1)).value();
    Bytes line = file.substr(0, file.find('\n'));
    const size_t at = line.find(from);
    REQUIRE(at != line.npos);
    line.replace(at, from.size(), to);
    const auto signature = key_of(1).sign(Bytes("egret-statement-1").append(1, '\0').append(line));
    const auto opened = open_statement(line + "\n{\"signer\":\"" + hex(view(key_of(1).public_key().point)) + "\",\"signature\":\"" + hex(view(signature)) + "\"}\n", key_of(1).public_key());
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == Errc::bad_input);
    return opened.error().text;
  };
  CHECK(refused("egret-statement-1", "egret-statement-2").find("format") != std::string::npos);
  CHECK(refused("clinic-7", "Clinic").find("facility") != std::string::npos);
  CHECK(refused("\"records\":10", "\"records\":-1").find("records") != std::string::npos);
  CHECK(refused("\"complete_to\":9", "\"complete_to\":\"9\"").find("complete_to") != std::string::npos);
  CHECK(refused("\"kind\":\"shed\"", "\"kind\":\"gone\"").find("kind") != std::string::npos);
  CHECK(refused("\"stream\":\"critical\"", "\"stream\":\"minor\"").find("stream") != std::string::npos);
  CHECK(refused("\"c\":\"abab", "\"c\":\"ab").find("c: ") != std::string::npos);
  CHECK(refused("\"rows\":[", "\"rows\":3,\"x\":[").find("rows") != std::string::npos);
  CHECK(refused("{\"format\"", "[\"format\"").find("JSON") != std::string::npos);
}

TEST_CASE("a statement that is too large is not read, nor written", "[statement]") {
  CHECK(open_statement(Bytes(kStatementBytesMax + 1, 'x'), key_of(1).public_key()).error().code == Errc::too_large);
  Statement many = sample();
  many.rows.resize(kStatementRowsMax + 1);
  CHECK(sign_statement(many, key_of(1)).error().code == Errc::too_large);
}
