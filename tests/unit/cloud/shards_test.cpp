// Shards: everybody comes to the same parts, nobody's parts move without need, and what a crash left behind takes none away.
#include "cloud/shards.h"

#include <catch2/catch.hpp>

#include "schemas/topics.h"

using namespace egret;
using namespace egret::cloud;

namespace {

MemberId member(uint8_t n) {
  MemberId id{};
  id.fill(n);
  return id;
}

std::vector<MemberId> others(const std::vector<MemberId>& all, const MemberId& self) {
  std::vector<MemberId> out;
  for (const MemberId& id : all) {
    if (id != self) out.push_back(id);
  }
  return out;
}

// One reconciler that sees what all say.
struct Watching {
  Members members;
  explicit Watching(uint8_t n, OutputNames outputs = {}) : members(member(n), std::move(outputs)) {}
  void see(std::vector<Member> rows, int64_t ms) { members.see(rows, MonoTime{ms}); }
};

}  // namespace

TEST_CASE("each shard has one member, about as many each, whoever reckons", "[shards]") {
  for (uint8_t n = 1; n <= 12; n++) {
    std::vector<MemberId> all;
    for (uint8_t i = 1; i <= n; i++) all.push_back(member(i));
    Shards heard;
    for (const MemberId& id : all) {
      const Shards mine = parts_of(id, others(all, id));
      CHECK((heard & mine).none());
      CHECK(mine.count() > 256u / n / 3);
      heard |= mine;
    }
    CHECK(heard.all());
  }
}

TEST_CASE("when one goes, only its own shards move", "[shards]") {
  std::vector<MemberId> all;
  for (uint8_t i = 1; i <= 5; i++) all.push_back(member(i));
  const Shards gone = parts_of(all[2], others(all, all[2]));
  std::vector<MemberId> left = others(all, all[2]);
  for (const MemberId& id : left) {
    const Shards before = parts_of(id, others(all, id)), after = parts_of(id, others(left, id));
    CHECK((before & ~after).none());
    CHECK((after & ~before & ~gone).none());
  }
}

TEST_CASE("a row counts once its beat has risen, and no longer when it has not for eight seconds", "[shards]") {
  Watching w(1);
  CHECK(w.members.mine().all());
  w.see({{member(1), 1}, {member(2), 40}}, 0);
  CHECK(w.members.mine().all());  // a crash may have left it
  w.see({{member(1), 2}, {member(2), 41}}, 2'000);
  CHECK(w.members.living() == std::vector<MemberId>{member(2)});
  CHECK_FALSE(w.members.mine().all());
  w.see({{member(1), 3}, {member(2), 41}}, 2'000 + kMemberSilentMs - 1);
  CHECK(w.members.living().size() == 1);
  w.see({{member(1), 4}, {member(2), 41}}, 2'000 + kMemberSilentMs);
  CHECK(w.members.living().empty());
  CHECK(w.members.mine().all());
  w.see({{member(1), 5}, {member(2), 42}}, 2'000 + kMemberSilentMs + 1);  // it had only been slow
  CHECK(w.members.living().size() == 1);
}

TEST_CASE("one that left is gone at once, and a row that never rises may be forgotten", "[shards]") {
  Watching w(1);
  w.see({{member(2), 1}, {member(3), 7}}, 0);
  w.see({{member(2), 2}, {member(3), 7}}, 2'000);
  w.see({{member(3), 7}}, 2'100);
  CHECK(w.members.mine().all());
  CHECK(w.members.forgotten().empty());
  w.see({{member(3), 7}}, kMemberForgottenMs);
  REQUIRE(w.members.forgotten().size() == 1);
  CHECK(w.members.forgotten()[0].id == member(3));
  CHECK(w.members.forgotten()[0].beat == 7);
}

TEST_CASE("a beat that begins anew counts: a process that was put back from an image goes on", "[shards]") {
  Watching w(1);
  w.see({{member(2), 90}}, 0);
  w.see({{member(2), 3}}, 2'000);
  CHECK(w.members.living().size() == 1);
}

TEST_CASE("an output is told by one of those that live and have it", "[shards]") {
  Watching low(1, {"webhook", "syslog"}), high(3, {"webhook"});
  const Member none{member(0), 1, {}}, one{member(1), 1, {"webhook", "syslog"}}, three{member(3), 1, {"webhook"}};
  const auto again = [](Member m, uint64_t beat) { return m.beat = beat, m; };
  CHECK((low.members.tells("webhook") && low.members.tells("syslog") && !low.members.tells("mqtt")));
  low.see({none, one}, 0);
  CHECK(low.members.tells("webhook"));  // what another lives for is something else
  low.see({none, one, three}, 2'000);
  CHECK_FALSE(low.members.tells("webhook"));  // whether that one lives, nobody knows yet
  CHECK(low.members.tells("syslog"));
  low.see({none, one, again(three, 2)}, 4'000);
  CHECK(low.members.tells("webhook"));
  high.see({none, one, three}, 0);
  CHECK_FALSE(high.members.tells("webhook"));
  high.see({none, again(one, 2), three}, 2'000);
  CHECK_FALSE(high.members.tells("webhook"));
  high.see({none, again(one, 2), three}, 2'000 + kMemberSilentMs - 1);
  CHECK_FALSE(high.members.tells("webhook"));
  high.see({none, again(one, 2), three}, 2'000 + kMemberSilentMs);  // it is silent
  CHECK(high.members.tells("webhook"));
  high.see({none, again(one, 3), three}, 3'000 + kMemberSilentMs);  // it had only been slow
  CHECK_FALSE(high.members.tells("webhook"));
  high.see({none, three}, 4'000 + kMemberSilentMs);  // it has left
  CHECK(high.members.tells("webhook"));
}

TEST_CASE("a topic tells its shard", "[shards]") {
  for (const char* fac : {"clinic-1", "clinic-2", "east"}) {
    const std::string topic = topic_of(TopicKind::up_bulk, fac);
    CHECK(parse_topic(topic)->shard == std::stoi(topic.substr(4, 2), nullptr, 16));
  }
}
