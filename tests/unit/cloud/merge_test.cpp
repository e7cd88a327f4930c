// What becomes of a result, rule by rule (cloud/merge/README.md), and that order and repeats change nothing.
#include <catch2/catch.hpp>
#include <algorithm>
#include <random>
#include <set>

#include "cloud/merge/gauge.h"
#include "cloud/merge/identity.h"
#include "cloud/merge/moment.h"
#include "cloud/merge/result.h"

using namespace egret;
using namespace egret::cloud;

namespace {

Hash hash_of(uint8_t n) {
  Hash h{};
  h[0] = n;
  return h;
}

Version version(uint32_t number, uint8_t body, ResultStatus status = ResultStatus::preliminary) {
  Version v;
  v.number = number;
  v.body = hash_of(body);
  v.status = status;
  v.output = hash_of(body);
  return v;
}

Review review_of(uint32_t seen, uint8_t body, ReviewVerdict verdict, uint8_t role = 3, int64_t t_us = 100) {
  return {seen, hash_of(body), role, verdict, t_us};
}

ResultView merged(std::vector<Statement> statements) {
  const ResultView once = merge_result(statements);
  std::reverse(statements.begin(), statements.end());
  statements.insert(statements.end(), statements.begin(), statements.begin() + static_cast<ptrdiff_t>(statements.size() / 2 + 1));
  CHECK(merge_result(statements) == once);
  return once;
}

bool found(const ResultView& view, IssueKind kind, uint32_t version) {
  return std::ranges::any_of(view.issues, [&](const Issue& f) { return f.kind == kind && f.first <= version && version <= f.last; });
}

const auto kFinal = ResultStatus::final;
const auto kPreliminary = ResultStatus::preliminary;

}  // namespace

TEST_CASE("rule 3: one version that came through two doors is one version", "[merge][rule 3]") {
  const ResultView view = merged({version(1, 7), version(1, 7)});
  CHECK(view.current == hash_of(7));
  CHECK(view.issues.empty());
}

TEST_CASE("rule 4: of two bodies under one number the higher hash counts, the other is kept and named", "[merge][rule 4]") {
  const ResultView view = merged({version(1, 9), version(1, 3)});
  CHECK(view.current == hash_of(9));
  REQUIRE(view.issues.size() == 1);
  CHECK(view.issues[0] == Issue{IssueKind::same_version, 1, 1, hash_of(3)});
}

TEST_CASE("rule 5: the third version before the second is current, and the second is named until it comes", "[merge][rule 5]") {
  CHECK(found(merged({version(1, 1), version(3, 3)}), IssueKind::missing_version, 2));
  const ResultView whole = merged({version(1, 1), version(3, 3), version(2, 2)});
  CHECK(whole.current == hash_of(3));
  CHECK(whole.issues.empty());
}

TEST_CASE("rule 6: an older version that comes late is history", "[merge][rule 6]") {
  const ResultView view = merged({version(2, 2, kFinal), version(1, 9)});
  CHECK(view.current == hash_of(2));
  CHECK(view.status == kFinal);
}

TEST_CASE("rule 7: final and then preliminary is kept and named, and final stays", "[merge][rule 7]") {
  for (ResultStatus back : {kPreliminary, ResultStatus::registered}) {
    const ResultView view = merged({version(1, 1, kFinal), version(2, 2, back)});
    CHECK(view.current == hash_of(1));
    CHECK(found(view, IssueKind::illegal_step, 2));
  }
}

TEST_CASE("rule 8: final without values takes those of the version before, and is held while there is none", "[merge][rule 8]") {
  Version unchanged = version(2, 2, kFinal);
  unchanged.unchanged = true;
  Version critical = version(1, 1);
  critical.critical = true;
  const ResultView view = merged({critical, unchanged});
  CHECK(view.current == hash_of(2));
  CHECK(view.status == kFinal);
  CHECK(view.values == hash_of(1));
  CHECK(view.critical);
  const ResultView held = merged({unchanged});
  CHECK_FALSE(held.current);
  CHECK(found(held, IssueKind::unchanged_without_values, 2));
}

TEST_CASE("rule 10: corrected and amended after final are new versions, and a critical flag that falls closes the alert", "[merge][rule 10]") {
  Version first = version(1, 1, kFinal);
  first.critical = true;
  const ResultView before = merged({first});
  CHECK(before.alert == AlertState::open);
  for (ResultStatus status : {ResultStatus::corrected, ResultStatus::amended}) {
    const ResultView after = merged({first, version(2, 2, status)});
    CHECK(after.current == hash_of(2));
    CHECK(after.status == status);
    CHECK(after.issues.empty());
    CHECK(after.alert == AlertState::withdrawn);
  }
}

TEST_CASE("rule 11: a retracted result is readable, and says so with its reason", "[merge][rule 11]") {
  const ResultView view = merged({version(1, 1, kFinal), Retraction{2, hash_of(2), RetractionReason::wrong_patient}});
  CHECK(view.retracted);
  CHECK(view.status == ResultStatus::entered_in_error);
  CHECK(view.reason == RetractionReason::wrong_patient);
  CHECK(view.current == hash_of(1));
  CHECK(view.issues.empty());
  CHECK(merged({version(1, 1), version(2, 2, ResultStatus::entered_in_error)}).retracted);
}

TEST_CASE("rule 12: a retraction waits for its original, which lands as history", "[merge][rule 12]") {
  const Retraction early{2, hash_of(2), RetractionReason::test_data};
  const ResultView waiting = merged({early});
  CHECK(waiting.retracted);
  CHECK_FALSE(waiting.current);
  CHECK(found(waiting, IssueKind::missing_version, 1));
  const ResultView landed = merged({early, version(1, 1)});
  CHECK(landed.retracted);
  CHECK(landed.current == hash_of(1));
  CHECK(landed.issues.empty());
}

TEST_CASE("rule 13: a version after the retraction does not bring the result back", "[merge][rule 13]") {
  const ResultView view = merged({version(1, 1), Retraction{2, hash_of(2)}, version(3, 3, kFinal)});
  CHECK(view.retracted);
  CHECK(view.current == hash_of(1));
  CHECK(found(view, IssueKind::resurrection, 3));
}

TEST_CASE("rule 14: a patient nobody knows is its own name", "[merge][rule 14]") {
  const Identities none({});
  CHECK(none.names_of("his|42") == std::vector<PatientName>{"his|42"});
}

TEST_CASE("rule 15: links join at read over any number of steps, and the latest word undoes them", "[merge][rule 15]") {
  std::vector<IdentityLink> links{{"a", "b", true, 1, hash_of(1)}, {"c", "b", true, 2, hash_of(2)}};
  const std::vector<PatientName> all{"a", "b", "c"};
  CHECK(Identities(links).names_of("a") == all);
  CHECK(Identities(links).names_of("c") == all);
  links.push_back({"b", "c", false, 3, hash_of(3)});
  CHECK(Identities(links).names_of("a") == std::vector<PatientName>{"a", "b"});
  CHECK(Identities(links).names_of("c") == std::vector<PatientName>{"c"});
  CHECK(Identities(links).contradictions().empty());
  std::swap(links.front(), links.back());
  CHECK(Identities(links).names_of("a") == std::vector<PatientName>{"a", "b"});
}

TEST_CASE("rule 15: what is said to be different is never joined by a detour", "[merge][rule 15]") {
  const std::vector<IdentityLink> links{
      {"a", "b", true, 1, hash_of(1)}, {"b", "c", true, 2, hash_of(2)}, {"a", "c", false, 3, hash_of(3)}};
  const Identities torn(links);
  CHECK(torn.names_of("a") == std::vector<PatientName>{"a", "b"});
  CHECK(torn.names_of("c") == std::vector<PatientName>{"b", "c"});
  REQUIRE(torn.contradictions().size() == 1);
  CHECK(torn.contradictions()[0] == std::pair<PatientName, PatientName>{"a", "c"});
}

TEST_CASE("rule 16: a result given to the wrong patient is retracted, and the right one stands beside it", "[merge][rule 16]") {
  const Uuid right{1};
  const ResultView wrong =
      merged({version(1, 1, kFinal), Retraction{2, hash_of(2), RetractionReason::wrong_patient}, Successor{hash_of(3), right, {}}});
  CHECK(wrong.retracted);
  CHECK(wrong.successors == std::vector<Uuid>{right});
  CHECK_FALSE(merged({version(1, 3, kFinal)}).retracted);
}

TEST_CASE("rule 17: the same model run again is a repeat, or is named when it says something else", "[merge][rule 17]") {
  Version first = version(1, 1), again = version(1, 2), other = version(2, 3);
  first.model = again.model = other.model = hash_of(99);
  first.run = {1};
  again.run = {2};
  other.run = {3};
  again.output = first.output;
  CHECK(merged({first, again}).issues.empty());
  const ResultView changed = merged({first, other});
  CHECK(changed.current == hash_of(3));
  CHECK(found(changed, IssueKind::not_deterministic, 2));
  other.status = ResultStatus::corrected;
  CHECK(merged({first, other}).issues.empty());
}

TEST_CASE("rule 18: a newer model's result stands beside the older one", "[merge][rule 18]") {
  const Uuid newer{7};
  const ResultView view = merged({version(1, 1, kFinal), Successor{hash_of(5), newer, hash_of(50)}});
  CHECK(view.current == hash_of(1));
  CHECK(view.status == kFinal);
  CHECK(view.successors == std::vector<Uuid>{newer});
}

TEST_CASE("rule 19: of two reviews the higher role counts, then the later, and that they disagree is named", "[merge][rule 19]") {
  const Statement nurse = review_of(1, 10, ReviewVerdict::agreed, 1, 900);
  const Statement panel = review_of(1, 11, ReviewVerdict::rejected, 6, 100);
  const ResultView view = merged({version(1, 1), nurse, panel});
  CHECK(view.review == hash_of(11));
  CHECK(view.verdict == ReviewVerdict::rejected);
  CHECK(view.status == kPreliminary);
  CHECK(view.current == hash_of(1));
  CHECK(found(view, IssueKind::reviews_disagree, 1));
  const ResultView later = merged({version(1, 1), review_of(1, 10, ReviewVerdict::rejected, 3, 1), review_of(1, 9, ReviewVerdict::agreed, 3, 2)});
  CHECK(later.review == hash_of(9));
}

TEST_CASE("a review that agrees makes a preliminary result final, one with changes gives the values", "[merge]") {
  CHECK(merged({version(1, 1), review_of(1, 10, ReviewVerdict::agreed)}).status == kFinal);
  const ResultView changed = merged({version(1, 1), review_of(1, 10, ReviewVerdict::agreed_with_changes)});
  CHECK(changed.status == kFinal);
  CHECK(changed.values == hash_of(10));
  CHECK(merged({version(1, 1, kFinal), review_of(1, 10, ReviewVerdict::agreed_with_changes)}).status == ResultStatus::corrected);
  const ResultView waits = merged({review_of(1, 10, ReviewVerdict::agreed)});
  CHECK_FALSE(waits.current);
  CHECK(waits.issues.empty());
}

TEST_CASE("rule 20: a review of a version that is not current any more promotes nothing", "[merge][rule 20]") {
  const ResultView view = merged({version(1, 1), version(2, 2), review_of(1, 10, ReviewVerdict::agreed)});
  CHECK(view.status == kPreliminary);
  CHECK_FALSE(view.review);
  CHECK(found(view, IssueKind::stale_review, 1));
}

TEST_CASE("rule 22: one alert a result, and it is withdrawn with it", "[merge][rule 22]") {
  Version critical = version(1, 1);
  critical.critical = true;
  CHECK(merged({critical, critical}).alert == AlertState::open);
  CHECK(merged({critical, Retraction{2, hash_of(2)}}).alert == AlertState::withdrawn);
  CHECK(merged({version(1, 1)}).alert == AlertState::none);
}

TEST_CASE("rule 23: a clock that cannot be trusted moves nothing but what is shown", "[merge][rule 23]") {
  const Clocks good{.wall_us = 0, .state = ClockState::synced, .offset_ms = 250, .committed_us = 5'000'000'000};
  const Moment known = correct(1'000'000'000, good);
  CHECK(known.corrected_us == 999'750'000);
  CHECK(known.trusted);
  const Moment future = correct(9'000'000'000, {.wall_us = 0, .state = ClockState::unsynced, .offset_ms = {}, .committed_us = 5'000'000'000});
  CHECK(future.stated_us == 9'000'000'000);
  CHECK(future.corrected_us == 5'000'000'000);
  CHECK_FALSE(future.trusted);
  CHECK(future.uncertainty_us >= 4'000'000'000);
}

TEST_CASE("rule 27: what comes late never repaints the live value", "[merge][rule 27]") {
  std::vector<GaugePoint> points{{.t_ns = 10, .run = 2}, {.t_ns = 90, .run = 1}, {.t_ns = 99, .run = 2, .historical = true}, {.t_ns = 5, .run = 2}};
  CHECK(live(points) == 0u);
  std::reverse(points.begin(), points.end());
  CHECK(live(points) == 3u);
  points.push_back({.t_ns = 11, .run = 2, .no_value = true});
  CHECK_FALSE(live(points));
  CHECK_FALSE(live({}));
}

TEST_CASE("any order, any repeats, any split of a set of statements give one view", "[merge]") {
  std::mt19937 random(20260214);
  auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  size_t kinds_met = 0;
  std::set<IssueKind> met;
  for (int set = 0; set < 10'000; set++) {
    std::vector<Statement> statements;
    const uint32_t count = 1 + below(9);
    for (uint32_t i = 0; i < count; i++) {
      const auto body = static_cast<uint8_t>(16 * below(12) + i);  // a hash names one statement
      switch (below(8)) {
        case 0:
          statements.push_back(Retraction{1 + below(5), hash_of(body), static_cast<RetractionReason>(below(6))});
          break;
        case 1:
        case 2:
          statements.push_back(review_of(1 + below(4), body, static_cast<ReviewVerdict>(1 + below(5)), static_cast<uint8_t>(1 + below(6)), below(3)));
          break;
        case 3:
          statements.push_back(Successor{hash_of(body), {static_cast<uint8_t>(below(3))}, {}});
          break;
        default: {
          Version v = version(1 + below(4), body, static_cast<ResultStatus>(1 + below(8)));
          v.critical = below(3) == 0;
          v.unchanged = v.status == kFinal && below(3) == 0;
          v.model = hash_of(static_cast<uint8_t>(below(2)));
          v.run = {static_cast<uint8_t>(below(3))};
          v.output = hash_of(static_cast<uint8_t>(below(3)));
          statements.push_back(v);
        }
      }
    }
    const ResultView once = merge_result(statements);
    for (const Issue& f : once.issues) met.insert(f.kind);
    for (int shuffle = 0; shuffle < 3; shuffle++) {
      std::vector<Statement> other = statements;
      for (uint32_t i = below(4); i > 0; i--) other.push_back(other[below(static_cast<uint32_t>(other.size()))]);
      std::shuffle(other.begin(), other.end(), random);
      REQUIRE(merge_result(other) == once);
    }
    kinds_met = met.size();
  }
  CHECK(kinds_met == 8);
}
