// The rules of cloud/merge/README.md as one property: ten thousand sets of statements, each of them a story about one rule, are
// committed in order, shuffled and repeated, and in a store of another kind. Whatever the way they came, each story ends as its rule
// says, an alert is there once, and all stores say the same. With any one rule switched off it must fail (unit-rules).
#include <catch2/catch.hpp>
#include <algorithm>
#include <random>

#include "cloud/erase.h"
#include "cloud/follower.h"
#include "cloud/merge/conditional.h"
#include "cloud/orders.h"
#include "cloud/results.h"
#include "cloud/verify_views.h"
#include "schemas/hl7_status.h"
#include "schemas/merge_rules.h"
#include "tests/unit/cloud/records.h"
#include "tests/unit/cloud/store_beds.h"

using namespace egret;
using namespace egret::cloud;

namespace {

constexpr size_t kSets = 10'000, kSetsAWorld = 500;
constexpr int64_t kT = 1'700'000'000'000'000;
using Status = v1::AiResult;

struct Said {
  Facility fac;
  Bytes record;
};
class World;
struct Story {
  Rule rule = Rule::none;
  std::vector<Said> said;
  std::optional<ResultName> erase;           // once everything has come
  std::optional<RecallScope> recall;
  std::function<std::string(World&)> wrong;  // "" when it ended as the rule says
};

// A store of some kind (store_beds.h) with its views.
class World {
 public:
  template <class Bed = MemoryBed>
  static World in() {
    return World(std::make_shared<Bed>());
  }

  void commit(const std::vector<const Said*>& all, size_t block_records, size_t blocks_a_step) {
    std::map<Facility, std::vector<const Said*>> waiting;
    for (const Said* said : all) {
      auto& block = waiting[said->fac];
      block.push_back(said);
      if (block.size() < block_records) continue;
      commit_block(said->fac, block);
      block.clear();
    }
    for (const auto& [fac, block] : waiting) {
      if (!block.empty()) commit_block(fac, block);
    }
    follow(blocks_a_step);
  }
  void follow(size_t blocks) {
    Follower follower(*opened_.kv);
    for (auto took = follower.step(blocks); took.value() > 0; took = follower.step(blocks)) continue;
  }
  OpenedStore& store() { return opened_; }
  Kv& kv() { return *opened_.kv; }
  ResultRow row(const ResultName& name) { return find_result(kv(), name).value().value_or(ResultRow{}); }
  ResultView view(const ResultName& name) { return row(name).view(); }
  int applied(const Bytes& record) const {
    const auto found = applied_.find(sha256(split_record(record)->body));
    return found == applied_.end() ? 0 : found->second;
  }
  size_t alerts(const ResultName& name) {
    size_t n = 0;
    for (AlertState state : {AlertState::open, AlertState::withdrawn}) n += kv().get(kViewSpace, alert_key(state, name)).value().has_value();
    return n;
  }
  std::string live_value(const std::string& name) {
    if (live_.empty()) {
      (void)each_live(kv(), "", [&](const Facility&, const LiveValue& v) {
        live_[v.name] = v.value;
        return true;
      });
    }
    return live_[name];
  }
  Hash natural_digest() {
    Bytes keys;
    (void)kv().scan(kNaturalSpace, Bytes(1, char(0)), end_of_space(), [&](ByteView key, ByteView) {
      keys += Bytes(key);
      return true;
    });
    return sha256(keys);
  }

 private:
  void commit_block(const Facility& fac, const std::vector<const Said*>& said) {
    std::vector<JudgedRecord> judged;
    std::vector<Hash> leaves;
    for (const Said* s : said) {
      JudgedRecord j;
      j.record = s->record;
      j.key = {Kind(split_record(s->record)->body[1]), sha256(split_record(s->record)->body)};
      judged.push_back(j);
      leaves.push_back(leaf_of(s->record));
    }
    const Seq first = heads_[fac].next();
    heads_[fac] = first + (said.size() - 1);
    const JudgedBlock block{first, judged, leaves, {}};
    auto txn = opened_.store->begin();
    const auto done = txn->add_blocks(fac, {{7}, StreamId::result}, {&block, 1}, {kT});
    REQUIRE(done.has_value());
    REQUIRE(opened_.store->commit(std::move(txn)) == CommitResult::committed);
    for (size_t i = 0; i < judged.size(); i++) applied_[judged[i].key.content] += (*done)[i] == Disposition::applied;
  }

  template <class Bed>
  explicit World(std::shared_ptr<Bed> bed) : bed_(bed), opened_(bed->opened()) {}

  std::shared_ptr<void> bed_;
  OpenedStore& opened_;
  std::map<Facility, Seq> heads_;
  std::map<Hash, int> applied_;
  std::map<std::string, std::string> live_;
};

// Makes stories; `n` names everything in one.
class Teller {
 public:
  Teller(uint64_t n, Rule rule) : random_(n), n_(n) {
    story_.rule = rule;
    name_ = {fac_, id_of_story(1)};
  }
  Story tell();

 private:
  struct How {
    Status::Status status = Status::STATUS_PRELIMINARY;
    bool critical = false, unchanged = false;
    std::string value;
    uint8_t run = 1, model = 1;
    Uuid id{};
    std::optional<Uuid> supersedes;
    int64_t wall_us = kT;
  };

  Uuid id_of_story(uint8_t k) const {
    Uuid id{};
    for (size_t i = 0; i < 8; i++) id[i] = static_cast<uint8_t>(n_ >> (8 * i));
    id[15] = k;
    return id;
  }
  Hash model_of_story(uint8_t k) const {
    Hash h{};
    std::ranges::copy(id_of_story(k), h.begin());
    h[31] = 1;
    return h;
  }
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  std::string patient() const { return "P-" + std::to_string(n_); }

  Hash add(v1::Body& body, const Facility& fac, int64_t wall_us = kT) {
    body.set_sens(4);
    body.add_purpose(v1::PURPOSE_CARE);
    const auto made = make_body(body, fac);
    if (!made) throw std::runtime_error(made.error().text);
    v1::Arrival arrival;
    arrival.set_wall_us(wall_us);
    arrival.set_clock_state(v1::Arrival::CLOCK_STATE_SYNCED);
    if (wall_us != kT) arrival.set_clock_off_ms(static_cast<int32_t>((wall_us - kT) / 1000));
    story_.said.push_back({fac, join_record(made->bytes, encode_arrival(arrival).value()).value()});
    return made->key.content;
  }
  Hash version(uint32_t number, How how) {
    v1::Body body;
    v1::AiResult* r = body.mutable_ai_result();
    r->set_logical_id(Bytes(egret::view(how.id == Uuid{} ? name_.id : how.id)));
    r->set_version(number);
    r->set_status(how.status);
    r->set_run_id(Bytes(16, static_cast<char>(how.run)));
    fill(r->mutable_scenario(), "dr");
    fill(r->add_code(), "71490-7");
    if (how.unchanged) r->set_no_value(v1::AiResult::NO_VALUE_UNCHANGED);
    else r->mutable_value()->set_text(how.value.empty() ? "grade " + std::to_string(number) : how.value);
    r->set_critical(how.critical);
    if (how.critical) {
      fill(r->mutable_critical_code(), "dr-4");
      r->set_ack_deadline_s(600);
    }
    r->set_gradable(true);
    r->set_model_ref(Bytes(egret::view(model_of_story(how.model))));
    r->mutable_t_effective()->set_us(kT);
    r->mutable_t_issued()->set_us(how.wall_us);
    r->mutable_phi()->mutable_subject()->set_system("urn:site");
    r->mutable_phi()->mutable_subject()->set_value(patient());
    if (how.supersedes) r->add_supersedes(Bytes(egret::view(*how.supersedes)));
    return add(body, fac_, how.wall_us);
  }
  Hash review(uint32_t seen, v1::Review::Verdict verdict, v1::Review::Role role, int64_t t_us) {
    v1::Body body;
    v1::Review* r = body.mutable_review();
    r->set_logical_id(Bytes(egret::view(name_.id)));
    r->set_version_seen(seen);
    r->set_result_facility(fac_);
    r->set_reviewer("r" + std::to_string(role));
    r->set_role(role);
    r->set_verdict(verdict);
    r->set_site(v1::Review::SITE_EDGE);
    r->mutable_t()->set_us(t_us);
    return add(body, "hospital");
  }
  void retraction(uint32_t number) {
    v1::Body body;
    v1::Retraction* r = body.mutable_retraction();
    r->set_logical_id(Bytes(egret::view(name_.id)));
    r->set_version(number);
    r->set_reason(v1::Retraction::REASON_WRONG_PATIENT);
    r->mutable_t()->set_us(kT);
    add(body, fac_);
  }
  void link(const std::string& a, const std::string& b, bool same, int64_t t_us) {
    v1::Body body;
    v1::IdentityLink* l = body.mutable_identity_link();
    for (auto [to, value] : {std::pair{l->mutable_phi()->mutable_a(), a}, {l->mutable_phi()->mutable_b(), b}}) {
      to->set_system("urn:site");
      to->set_value(value);
    }
    l->set_verdict(same ? v1::IdentityLink::VERDICT_SAME : v1::IdentityLink::VERDICT_NOT_SAME);
    l->set_authority("register");
    l->mutable_t()->set_us(t_us);
    add(body, fac_);
  }
  void gauge(uint64_t t_ns, double value, uint32_t flags, uint64_t run) {
    v1::Body body;
    v1::TelemetryBatch* batch = body.mutable_telemetry_batch();
    batch->mutable_resource()->set_boot_id(Bytes(16, 'b'));
    batch->mutable_resource()->set_run(run);
    v1::Series* s = batch->add_series();
    s->set_name("g" + std::to_string(n_));
    s->set_unit("1");
    s->set_kind(v1::Series::SERIES_KIND_GAUGE);
    s->add_t_ns(t_ns);
    s->add_f64(value);
    if (flags != 0) s->add_flags(flags);
    add(body, fac_);
  }
  Hash patient_name(World& w, const std::string& value) const {
    v1::Identifier identifier;
    identifier.set_system("urn:site");
    identifier.set_value(value);
    return patient_of(patient_key(w.kv()).value(), identifier);
  }
  std::set<ResultName> results_of(World& w, const std::string& value) const {
    std::set<ResultName> out;
    for (const PatientName& each : resolve(w.kv(), patient_name(w, value)).value().names) {
      (void)each_of_patient(w.kv(), each, [&](const ResultName& r) { return out.insert(r).second || true; });
    }
    return out;
  }
  // Ends with the view of this story's result.
  void ends(std::function<bool(const ResultView&)> as_it_must) {
    story_.wrong = [name = name_, as_it_must](World& w) { return as_it_must(w.view(name)) ? "" : "its view is another"; };
  }
  static bool has(const ResultView& view, IssueKind kind, uint32_t number) {
    return std::ranges::any_of(view.issues, [&](const Issue& i) { return i.kind == kind && i.first <= number && number <= i.last; });
  }

  void versions();
  void retractions();
  void reviews();
  void patients();
  void others();

  std::mt19937_64 random_;
  const uint64_t n_;
  const Facility fac_ = "clinic-" + std::to_string(n_ % 3);
  ResultName name_;
  Story story_;
};

void Teller::versions() {
  const uint32_t top = 2 + below(3);
  switch (story_.rule) {
    case Rule::same_version_elsewhere: {
      version(1, {});
      version(1, {});
      v1::Arrival other;
      other.set_wall_us(kT + 5);
      const Bytes first = story_.said[0].record;
      story_.said[1].record = join_record(split_record(first)->body, encode_arrival(other).value()).value();
      story_.wrong = [=, name = name_](World& w) { return w.row(name).statements.size() == 1 && w.applied(first) == 1 ? "" : "more than one version"; };
      break;
    }
    case Rule::two_bodies: {
      const Hash a = version(1, {.value = "a"}), b = version(1, {.value = "b"});
      ends([=](const ResultView& v) { return v.current == std::max(a, b) && has(v, IssueKind::same_version, 1); });
      break;
    }
    case Rule::missing_version:
      version(1, {});
      version(top + 1, {});
      ends([=](const ResultView& v) { return v.number == top + 1 && has(v, IssueKind::missing_version, top); });
      break;
    case Rule::late_version: {
      const Hash last = version(2, {.status = Status::STATUS_FINAL});
      version(1, {.value = "older"});
      ends([=](const ResultView& v) { return v.current == last && v.status == ResultStatus::final; });
      break;
    }
    case Rule::step_back:
      version(1, {.status = Status::STATUS_FINAL});
      version(2, {.status = below(2) == 0 ? Status::STATUS_PRELIMINARY : Status::STATUS_REGISTERED});
      ends([](const ResultView& v) { return v.number == 1 && has(v, IssueKind::illegal_step, 2); });
      break;
    case Rule::unchanged_values: {
      const bool there = below(2) == 0;
      const Hash first = there ? version(1, {}) : Hash{};
      version(2, {.status = Status::STATUS_FINAL, .unchanged = true});
      ends([=](const ResultView& v) {
        return there ? v.values == first && v.status == ResultStatus::final : !v.current && has(v, IssueKind::unchanged_without_values, 2);
      });
      break;
    }
    case Rule::correction:
      version(1, {.status = Status::STATUS_FINAL, .critical = true});
      version(2, {.status = below(2) == 0 ? Status::STATUS_CORRECTED : Status::STATUS_AMENDED});
      ends([](const ResultView& v) { return v.number == 2 && v.alert == AlertState::withdrawn && v.issues.empty(); });
      break;
    case Rule::rerun:
      version(1, {.value = "same", .run = 1});
      version(2, {.value = "another", .run = 2});
      ends([](const ResultView& v) { return v.number == 2 && has(v, IssueKind::not_deterministic, 2); });
      break;
    case Rule::newer_model: {
      const Uuid newer = id_of_story(2);
      version(1, {.status = Status::STATUS_FINAL});
      version(1, {.model = 2, .id = newer, .supersedes = name_.id});
      ends([=](const ResultView& v) { return v.number == 1 && v.successors == std::vector<Uuid>{newer}; });
      break;
    }
    default:
      break;
  }
}

void Teller::retractions() {
  switch (story_.rule) {
    case Rule::retraction:
      version(1, {.status = Status::STATUS_FINAL});
      retraction(2);
      ends([](const ResultView& v) { return v.retracted && v.status == ResultStatus::entered_in_error && v.reason == RetractionReason::wrong_patient; });
      break;
    case Rule::early_retraction:
      retraction(2);
      ends([](const ResultView& v) { return v.retracted && !v.current && has(v, IssueKind::missing_version, 1); });
      break;
    case Rule::resurrection:
      version(1, {});
      retraction(2);
      version(3, {.status = Status::STATUS_FINAL});
      ends([](const ResultView& v) { return v.retracted && v.number == 1 && has(v, IssueKind::resurrection, 3); });
      break;
    case Rule::wrong_patient: {
      const Uuid right = id_of_story(2);
      version(1, {.status = Status::STATUS_FINAL});
      retraction(2);
      version(1, {.status = Status::STATUS_FINAL, .id = right, .supersedes = name_.id});
      ends([=](const ResultView& v) { return v.retracted && v.successors == std::vector<Uuid>{right}; });
      break;
    }
    case Rule::one_alert:
      version(1, {.critical = true});
      if (below(2) == 0) version(2, {.critical = true});
      retraction(3);
      story_.wrong = [name = name_](World& w) {
        return w.alerts(name) == 1 && w.view(name).alert == AlertState::withdrawn ? "" : "not one alert that is withdrawn";
      };
      break;
    case Rule::erasure:
      version(1, {.critical = true});
      version(2, {.critical = true});
      review(2, v1::Review::VERDICT_AGREED, v1::Review::ROLE_NURSE, kT);
      story_.erase = name_;
      story_.wrong = [name = name_](World& w) { return w.row(name).statements.empty() && w.alerts(name) == 0 ? "" : "it is still shown"; };
      break;
    default:
      break;
  }
}

void Teller::reviews() {
  switch (story_.rule) {
    case Rule::reviews_disagree: {
      version(1, {});
      const Hash panel = review(1, v1::Review::VERDICT_REJECTED, v1::Review::ROLE_PANEL, kT + 1);
      review(1, v1::Review::VERDICT_AGREED, v1::Review::ROLE_NURSE, kT + 2);
      ends([=](const ResultView& v) { return v.review == panel && v.status == ResultStatus::preliminary && has(v, IssueKind::reviews_disagree, 1); });
      break;
    }
    case Rule::stale_review:
      version(1, {});
      version(2, {});
      review(1, v1::Review::VERDICT_AGREED, v1::Review::ROLE_SPECIALIST, kT);
      ends([](const ResultView& v) { return !v.review && v.status == ResultStatus::preliminary && has(v, IssueKind::stale_review, 1); });
      break;
    case Rule::hl7_status: {
      // What a door makes of R, and then of V.
      version(1, {.status = static_cast<Status::Status>(hl7_status("R")->status)});
      if (hl7_status("V")->makes == Hl7Meaning::Makes::review) review(1, v1::Review::VERDICT_AGREED, v1::Review::ROLE_PHYSICIAN, kT);
      ends([](const ResultView& v) { return v.number == 1 && v.verdict == ReviewVerdict::agreed && v.status == ResultStatus::final; });
      break;
    }
    default:
      break;
  }
}

void Teller::patients() {
  const std::string a = patient(), b = a + "-b", c = a + "-c";
  version(1, {});
  if (story_.rule == Rule::unknown_patient) {
    story_.wrong = [this_ = *this](World& w) { return this_.results_of(w, this_.patient()) == std::set{this_.name_} ? "" : "not found under its identifier"; };
    return;
  }
  link(a, b, true, kT);
  link(b, c, true, kT + 1);
  const uint32_t how = below(3);
  if (how == 1) link(c, b, false, kT + 2);  // parted again
  if (how == 2) link(a, c, false, kT);      // joined by a detour alone
  story_.wrong = [this_ = *this, b, c, how](World& w) {
    const bool under_b = !this_.results_of(w, b).empty(), under_c = !this_.results_of(w, c).empty();
    // In the third case b may be either of two, and is shown as neither.
    return under_b == (how != 2) && under_c == (how == 0) ? "" : "found where it is not, or not where it is";
  };
}

void Teller::others() {
  switch (story_.rule) {
    case Rule::recall: {
      version(1, {});
      story_.recall = RecallScope{{model_of_story(1)}, kT - 1, kT + 1, ""};
      story_.wrong = [name = name_](World& w) {
        const auto marks = recalls_of(name.fac, w.row(name).all(), recalls(w.kv()).value());
        return marks.size() == 1 ? "" : "not marked once";
      };
      break;
    }
    case Rule::corrected_time: {
      const Hash body = version(1, {.wall_us = kT + 86'400'000'000});
      story_.wrong = [name = name_, body](World& w) {
        const Moment m = detail_of(w.kv(), name, w.row(name)).value().issued[body];
        return m.stated_us == kT + 86'400'000'000 && m.corrected_us == kT ? "" : "the clock's error is still in it";
      };
      break;
    }
    case Rule::one_entry_an_identity:
      story_.wrong = [](World&) { return same_identity(std::vector<std::string>{"a", "b", "a"}) ? "" : "two entries for one identity"; };
      break;
    case Rule::conditional_write:
      story_.wrong = [](World&) {
        return decide(Wanted::create_if_none, 1) == Done::nothing && decide(Wanted::update_match, 1, 3, 2) == Done::refuse ? "" : "written twice";
      };
      break;
    case Rule::late_telemetry:
      gauge(2000, 7, 0, 2);
      gauge(3000, 9, v1::Series::FLAG_HISTORICAL, 2);
      if (below(2) == 0) gauge(9000, 8, 0, 1);
      story_.wrong = [n = n_](World& w) { return w.live_value("g" + std::to_string(n)) == "7.0" ? "" : "the live value is another"; };
      break;
    default:
      break;
  }
}

Story Teller::tell() {
  if (story_.rule == Rule::unknown_patient || story_.rule == Rule::linked_patients) patients();
  versions();
  retractions();
  reviews();
  others();
  return std::move(story_);
}

// Kept by the tests of the reconciler: they are about numbers of the wire, not about statements.
bool on_the_wire(Rule rule) {
  return rule == Rule::same_record || rule == Rule::forked_record || rule == Rule::quarantine;
}

std::vector<Story> stories(uint64_t first, size_t count) {
  std::vector<Rule> rules;
  for (int i = 1; i <= kRules; i++) {
    if (!on_the_wire(static_cast<Rule>(i))) rules.push_back(static_cast<Rule>(i));
  }
  std::vector<Story> out;
  for (uint64_t n = first; n < first + count; n++) out.push_back(Teller(n + 1, rules[n % rules.size()]).tell());
  return out;
}

void play(World& world, const std::vector<Story>& all, bool mixed, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<const Said*> said;
  for (const Story& story : all) {
    for (const Said& s : story.said) said.push_back(&s);
  }
  const size_t once = said.size();
  for (size_t i = 0; mixed && i < once / 3; i++) said.push_back(said[random() % once]);
  if (mixed) std::shuffle(said.begin(), said.end(), random);
  world.commit(said, mixed ? 1 + random() % 40 : 64, mixed ? 1 + random() % 5 : 64);
  for (const Story& story : all) {
    if (story.erase) {
      const auto erased = erase_result(world.store(), *story.erase, "order");
      INFO((erased ? std::string() : erased.error().text));
      CHECK(erased.has_value());
      world.follow(8);
    }
    if (story.recall) {
      Order order;
      order.by = order.reason = "test";
      order.scope = *story.recall;
      REQUIRE(add_order(world.kv(), order).has_value());
    }
  }
  world.follow(8);
  if (mixed) world.commit({said.begin(), said.begin() + static_cast<ptrdiff_t>(once / 4)}, 16, 3);  // once more, after everything
}

void check(World& world, const std::vector<Story>& all, uint64_t first) {
  for (size_t i = 0; i < all.size(); i++) {
    const std::string wrong = all[i].wrong(world);
    INFO("set " << first + i << ", rule " << int(all[i].rule) << " " << name_of(all[i].rule) << ": " << wrong);
    REQUIRE(wrong.empty());
  }
  const auto verdict = verify_views(world.kv());
  REQUIRE(verdict.has_value());
  INFO((verdict->wrong.empty() ? std::string() : verdict->wrong.front()));
  REQUIRE(verdict->compared());
  REQUIRE(verdict->wrong.empty());
}

}  // namespace

TEST_CASE("whatever the order, the repeats and the store, each rule ends as it says and all stores agree", "[rules]") {
  for (uint64_t first = 0; first < kSets; first += kSetsAWorld) {
    const std::vector<Story> all = stories(first, kSetsAWorld);
    World straight = World::in();
    play(straight, all, false, 0);
    check(straight, all, first);
    const Hash records = straight.natural_digest(), views = views_digest(straight.kv()).value();
    const auto agrees = [&](World world, uint64_t seed) {
      play(world, all, true, first + seed);
      check(world, all, first);
      REQUIRE(world.natural_digest() == records);
      REQUIRE(views_digest(world.kv()).value() == views);
    };
    agrees(World::in(), 1);
    agrees(World::in<RocksBed>(), 2);
    agrees(World::in<PostgresBed>(), 3);
  }
}

TEST_CASE("rule 3: a copy that comes through another door is noted as a copy, and there is one version", "[merge][rule 3]") {
  const Story story = Teller(7, Rule::same_version_elsewhere).tell();
  World world = World::in();
  play(world, {story}, false, 0);
  CHECK(story.wrong(world).empty());
}

TEST_CASE("rule 14: a patient nobody knows is accepted, and found under the identifier that came", "[merge][rule 14]") {
  const Story story = Teller(7, Rule::unknown_patient).tell();
  World world = World::in();
  play(world, {story}, false, 0);
  CHECK(story.wrong(world).empty());
}

TEST_CASE("rule 18: a result that names an older one in `supersedes` is told by the older one, and both are kept", "[merge][rule 18]") {
  const Story story = Teller(7, Rule::newer_model).tell();
  World world = World::in();
  play(world, {story}, false, 0);
  CHECK(story.wrong(world).empty());
}

TEST_CASE("rule 21: a recall marks what its models made in its time, at its site, until it is undone", "[merge][rule 21]") {
  Version in, out, other;
  in.model = out.model = {1};
  other.model = {2};
  in.t_us = other.t_us = 10;
  out.t_us = 20;
  const std::vector<Recall> known{{4, {{{1}}, 5, 20, ""}, false}, {5, {{{1}}, 5, 20, "clinic-2"}, false}, {6, {{{1}}, 0, 99, ""}, true}};
  using Marks = std::vector<uint64_t>;
  CHECK(recalls_of("clinic-1", std::vector<Statement>{in}, known) == Marks{4});
  CHECK(recalls_of("clinic-2", std::vector<Statement>{in, other}, known) == Marks{4, 5});
  CHECK(recalls_of("clinic-1", std::vector<Statement>{out, other}, known).empty());
}

TEST_CASE("rule 28: an erased result is in no view, its copies stay deleted, and the leaves still prove what was there", "[merge][rule 28]") {
  const Story story = Teller(7, Rule::erasure).tell();
  World world = World::in();
  play(world, {story}, true, 1);
  CHECK(story.wrong(world).empty());
  size_t left = 0;
  REQUIRE(world.kv().scan(kNaturalSpace, Bytes(1, char(0)), end_of_space(), [&](ByteView, ByteView) { return ++left > 0; }).has_value());
  CHECK(left == 0);
}

TEST_CASE("rule 25: two entries for one identity are found before anything is written", "[merge][rule 25]") {
  using Pair = std::pair<size_t, size_t>;
  CHECK(same_identity(std::vector<std::string>{"a", "b", "a"}) == Pair{0, 2});
  CHECK_FALSE(same_identity(std::vector<std::string>{"a", "", "b", ""}));
  CHECK_FALSE(same_identity({}));
}

TEST_CASE("rule 26: a condition is decided by what is there", "[merge][rule 26]") {
  CHECK(decide(Wanted::create_if_none, 0) == Done::create);
  CHECK(decide(Wanted::create_if_none, 1) == Done::nothing);
  CHECK(decide(Wanted::update_one, 0) == Done::create);
  CHECK(decide(Wanted::update_one, 1) == Done::update);
  CHECK(decide(Wanted::update_match, 1, 4, 4) == Done::update);
  CHECK(decide(Wanted::update_match, 1, 4, 3) == Done::refuse);
  CHECK(decide(Wanted::update_match, 0, 0, 3) == Done::refuse);
  for (Wanted wanted : {Wanted::create_if_none, Wanted::update_one, Wanted::update_match}) CHECK(decide(wanted, 2, 4, 4) == Done::refuse);
}

TEST_CASE("rule 15: whatever is linked, in circles too, nobody is joined with two who are said to differ, and order says nothing", "[merge][rule 15]") {
  std::mt19937 random(15);
  size_t torn = 0;
  for (int set = 0; set < 2'000; set++) {
    std::vector<IdentityLink> links;
    for (uint32_t i = 0, n = random() % 12; i < n; i++) {
      const auto name = [&] { return PatientName(1, static_cast<char>('a' + random() % 6)); };
      Hash body{};
      body[0] = static_cast<uint8_t>(i);
      links.push_back({name(), name(), random() % 4 != 0, static_cast<int64_t>(random() % 5), body});
    }
    const Identities once(links);
    torn += !once.contradictions().empty();
    std::map<std::set<PatientName>, IdentityLink> latest;
    for (const IdentityLink& link : links) {
      const auto [held, fresh] = latest.try_emplace({link.a, link.b}, link);
      if (!fresh && comes_after(link, held->second)) held->second = link;
    }
    std::shuffle(links.begin(), links.end(), random);
    const Identities again(links);
    for (char c = 'a'; c < 'g'; c++) {
      const auto names = once.names_of(PatientName(1, c));
      REQUIRE(names == again.names_of(PatientName(1, c)));
      REQUIRE(std::ranges::find(names, PatientName(1, c)) != names.end());
      for (const PatientName& a : names) {
        for (const PatientName& b : names) {
          const auto said = latest.find({a, b});
          REQUIRE((a == b || said == latest.end() || said->second.same));
        }
      }
    }
  }
  CHECK(torn > 100);
}

TEST_CASE("rule 15: a group of links without end is not followed for ever, and then only what is said directly is believed", "[merge][rule 15]") {
  KvMemory kv(kCloudSpaces);
  KvBatch batch;
  const auto name = [](uint32_t n) {
    Bytes out(28, '\0');
    put_u32(out, n);
    return out;
  };
  for (uint32_t i = 0; i < 2 * kPatientGroupNames; i++) {
    StatedLink link;
    link.link = {name(i), name(i + 1), true, 1, {}};
    put_u32(link.authority, i);
    std::ranges::copy(link.authority, link.link.body.begin());
    put_link(batch, link);
  }
  REQUIRE(kv.write(batch, true).has_value());
  const auto patient = resolve(kv, take<sizeof(Hash)>(name(5)));
  REQUIRE(patient.has_value());
  CHECK(patient->too_many);
  CHECK(patient->names == std::vector<PatientName>{name(4), name(5), name(6)});
}
