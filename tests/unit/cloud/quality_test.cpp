// How a model does: counted once a result, by site; drift that is there and drift that is not.
#include "cloud/quality.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "cloud/merge/moment.h"
#include "records.h"

using namespace egret;
using namespace egret::cloud;

namespace {

constexpr int64_t kMarch = 1'772'323'200'000'000;  // 2026-03-01

Bytes scored(uint16_t id, uint32_t version, const std::string& prob, bool gradable, int64_t t_us, char model = 'm', const Facility& fac = kFac) {
  v1::Body body;
  v1::AiResult* r = body.mutable_ai_result();
  Uuid uuid{};
  uuid[0] = static_cast<uint8_t>(id);
  uuid[1] = static_cast<uint8_t>(id >> 8);
  r->set_logical_id(bytes_of(uuid));
  r->set_version(version);
  r->set_status(version == 1 ? v1::AiResult::STATUS_PRELIMINARY : v1::AiResult::STATUS_FINAL);
  r->set_run_id(Bytes(16, 'r'));
  fill(r->mutable_scenario(), "dr");
  fill(r->add_code(), "71490-7");
  if (gradable) r->mutable_value()->set_text("grade");
  if (!gradable) fill(r->mutable_absent_reason(), "poor");
  r->set_critical(false);
  r->set_gradable(gradable);
  if (!prob.empty()) {
    r->set_prob(prob);
    r->set_prob_kind(v1::AiResult::PROB_KIND_CALIBRATED);
  }
  r->set_model_ref(Bytes(32, model));
  r->mutable_t_effective()->set_us(t_us);
  r->mutable_t_issued()->set_us(t_us);
  r->mutable_phi()->mutable_subject()->set_system("urn:site");
  r->mutable_phi()->mutable_subject()->set_value("P-1");
  return record_from(body, fac);
}

QualityAsked asked_of(char model) {
  QualityAsked asked;
  asked.of.model = hex(Bytes(32, model));
  return asked;
}

}  // namespace

TEST_CASE("each result counts once, with what the model said last and what people made of it", "[quality]") {
  ViewRig rig;
  rig.register_facility("clinic-2");
  rig.commit({scored(1, 1, "0.10", true, kMarch), scored(1, 2, "0.97", true, kMarch), scored(2, 1, "1", true, kMarch), scored(3, 1, "", false, kMarch), scored(4, 1, "0.5", true, kMarch, 'n')});
  rig.commit({scored(1, 1, "0.04", true, kMarch, 'm', "clinic-2")}, "clinic-2");
  rig.commit({review(1, 2, v1::Review::VERDICT_AGREED, kFac, kFac), review(2, 1, v1::Review::VERDICT_REJECTED, kFac, kFac)});
  rig.follow();
  const auto models = model_quality(rig.kv, asked_of('m')).value();
  REQUIRE(models.size() == 1);
  REQUIRE(models[0].sites.size() == 2);
  const SiteQuality& site = models[0].sites.at(kFac);
  CHECK(site.results == 3);
  CHECK(site.ungradable == 1);
  CHECK(site.unread == 0);
  CHECK(site.scores.bins[19] == 2);  // 0.97 and 1
  CHECK(site.scores.all() == 2);
  CHECK(site.agreement() == 0.5);
  CHECK(models[0].sites.at("clinic-2").scores.bins[0] == 1);
  CHECK_FALSE(models[0].sites.at("clinic-2").agreement().has_value());
  CHECK(to_json(models).find(R"("ungradable_rate":0.3333)") != std::string::npos);
  CHECK(to_json(models).find("P-1") == std::string::npos);
  QualityAsked one = asked_of('m');
  one.of.fac = "clinic-2";
  CHECK(model_quality(rig.kv, one).value()[0].sites.size() == 1);
  one.results_max = 0;
  CHECK(model_quality(rig.kv, one).error().code == Errc::too_large);
  QualityAsked nobody;
  nobody.of.model = "nobody";
  CHECK(model_quality(rig.kv, nobody).error().code == Errc::not_found);
  one.results_max = 9;
  one.before_from = "yesterday";
  CHECK(model_quality(rig.kv, one).error().code == Errc::bad_input);
}

TEST_CASE("scores that moved are drift, scores that did not are none, and too few say nothing", "[quality]") {
  ViewRig rig;
  std::vector<Bytes> all;
  uint16_t id = 0;
  // February: 0.05 to 0.54. March the same; April 0.3 higher.
  for (const auto& [month, shift] : {std::pair(-28, 0), std::pair(0, 0), std::pair(31, 30)}) {
    for (int i = 0; i < 100; i++) all.push_back(scored(++id, 1, "0." + std::to_string(100 + (5 + i % 50 + shift)).substr(1), true, kMarch + month * kDayUs + i));
  }
  rig.commit(all);
  rig.follow();
  const auto drift = [&](const std::string& from, const std::string& to) {
    QualityAsked asked = asked_of('m');
    asked.of.from = from;
    asked.of.to = to;
    asked.before_from = "2026-02-01";
    asked.before_to = "2026-02-28";
    const SiteQuality site = model_quality(rig.kv, asked).value()[0].sites.at(kFac);
    return drift_between(site.before, site.scores);
  };
  const auto same = drift("2026-03-01", "2026-03-31").value(), moved = drift("2026-04-01", "2026-04-30").value();
  CHECK(same.psi == Approx(0).margin(1e-12));
  CHECK(same.jensen_shannon == Approx(0).margin(1e-12));
  CHECK(moved.psi > 0.25);
  CHECK(moved.jensen_shannon > 0.1);
  CHECK(moved.jensen_shannon < 1);
  CHECK_FALSE(drift("2026-05-01", "2026-05-31").has_value());
}

TEST_CASE("drift is what the formulas say", "[quality]") {
  Scores before, now;
  before.bins[0] = 60;
  before.bins[1] = 40;
  now.bins[0] = 40;
  now.bins[1] = 60;
  // p = 40.5/110, q = 60.5/110 in the first bin, the other way round in the second, equal elsewhere.
  const double p = 40.5 / 110, q = 60.5 / 110, m = (p + q) / 2;
  const Drift drift = drift_between(before, now).value();
  CHECK(drift.psi == Approx(2 * (p - q) * std::log(p / q)));
  CHECK(drift.jensen_shannon == Approx(p * std::log2(p / m) + q * std::log2(q / m)));
}
