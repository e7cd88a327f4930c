// The change feed: in the order of commits, with a cursor from which nothing is missed.
#include "cloud/changes.h"

#include <catch2/catch.hpp>
#include <set>

#include "records.h"

using namespace egret;
using namespace egret::cloud;

namespace {

std::vector<std::string> lines_of(const ChangesPage& page) {
  std::vector<std::string> out;
  std::istringstream in(page.lines);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  CHECK(out.size() == page.count);
  return out;
}

std::string field(const std::string& line, const std::string& name) {
  const size_t at = line.find("\"" + name + "\":");
  if (at == line.npos) return "";
  const size_t from = at + name.size() + 3;
  const size_t end = line[from] == '"' ? line.find('"', from + 1) + 1 : line.find_first_of(",}", from);
  return line.substr(from, end - from);
}

}  // namespace

TEST_CASE("pages of any size, cut anywhere, are the whole feed in order", "[changes]") {
  ViewRig rig;
  rig.commit({record_of(1), record_of(2), record_of(3)});
  rig.commit({record_of(2), record_of(4)});  // one of them is a repeat
  rig.commit({record_of(4)});                // nothing new at all
  rig.commit({record_of(5, "clinic-2")}, "clinic-2");
  const std::vector<std::string> all = lines_of(changes(rig.kv, {Cursor{7, 0, 0}}).value());
  REQUIRE(all.size() == 5);
  std::set<std::string> contents;
  for (const std::string& line : all) contents.insert(field(line, "content_sha256"));
  CHECK(contents.size() == 5);
  CHECK(all[4].find(R"("change":"applied","facility":"clinic-2","epoch":"0000000000000007","stream":"result","seq":1,"kind":"agent_event")") != std::string::npos);
  for (size_t lines = 1; lines <= 6; lines++) {
    std::vector<std::string> seen;
    ChangesAsked asked;
    asked.after.gen = 7;
    asked.lines = lines;
    for (bool more = true; more;) {
      const auto page = changes(rig.kv, asked).value();
      CHECK(page.count <= lines);
      for (std::string& line : lines_of(page)) seen.push_back(std::move(line));
      more = page.more;
      asked.after = page.next;
    }
    CHECK(seen == all);
    CHECK(asked.after == Cursor{7, 4, 0});
    CHECK(changes(rig.kv, asked).value().count == 0);
  }
  // From any line's own cursor the rest follows.
  for (size_t i = 0; i < all.size(); i++) {
    const std::string text = field(all[i], "cursor");
    const auto rest = lines_of(changes(rig.kv, {*cursor_of(text.substr(1, text.size() - 2))}).value());
    CHECK(rest == std::vector<std::string>(all.begin() + static_cast<long>(i) + 1, all.end()));
  }
  // What is committed later comes after.
  rig.commit({record_of(9)});
  CHECK(changes(rig.kv, {Cursor{7, 4, 0}}).value().count == 1);
  CHECK(changes(rig.kv, {Cursor{7, 6, 0}}).error().code == Errc::bad_input);
}

TEST_CASE("records are told only when they are asked for, and what is erased is told of by its place", "[changes]") {
  ViewRig rig;
  const Bytes first = result(1, 1);
  rig.commit({first, record_of(2)});
  CHECK(changes(rig.kv, {}).value().lines.find("P-1") == std::string::npos);
  CHECK(changes(rig.kv, {}).value().lines.find("grade") == std::string::npos);
  ChangesAsked with;
  with.records = true;
  CHECK(changes(rig.kv, with).value().lines.find(R"("value":"P-1")") != std::string::npos);
  auto txn = rig.store->begin();
  REQUIRE(txn->erase(kFac, check_body(split_record(first)->body, kFac)->key, "order").has_value());
  REQUIRE(rig.store->commit(std::move(txn)) == CommitResult::committed);
  const auto news = lines_of(changes(rig.kv, {Cursor{0, 1, 0}}).value());
  REQUIRE(news.size() == 2);
  CHECK(news[0] == R"({"cursor":"0000000000000000-2-1","change":"deleted","facility":"clinic-1","epoch":"0000000000000007","stream":"result","seq":1})");
  CHECK(news[1].find(R"("change":"applied")") != std::string::npos);  // its neighbour, once more
  CHECK(changes(rig.kv, with).value().lines.find("P-1") == std::string::npos);
}

TEST_CASE("as CSV each line has the columns of the head", "[changes]") {
  ViewRig rig;
  rig.commit({result(1, 1), record_of(2)});
  ChangesAsked asked;
  asked.csv = true;
  const auto lines = lines_of(changes(rig.kv, asked).value());
  REQUIRE(lines.size() == 2);
  const std::string head = changes_csv_head();
  for (const std::string& line : lines) CHECK(std::ranges::count(line, ',') == std::ranges::count(head, ','));
  CHECK(lines[0].starts_with("0000000000000000-1-1,applied,clinic-1,ai_result,0000000000000007,result,1,"));
}

TEST_CASE("a cursor has one text", "[changes]") {
  for (const Cursor& c : {Cursor{0, 0, 0}, Cursor{UINT64_MAX, UINT64_MAX, UINT32_MAX}, Cursor{1, 2, 3}}) CHECK(cursor_of(text_of(c)) == c);
  for (const char* bad : {"", "-", "1-2-3", "0000000000000001-2", "0000000000000001-2-3-", "0000000000000001-02-3", "000000000000000G-2-3", "0000000000000001-2-4294967296", " 0000000000000001-2-3",
                          "0000000000000001--3", "0000000000000001-2-3 "}) {
    INFO(bad);
    CHECK_FALSE(cursor_of(bad).has_value());
  }
}
