#include "tests/sim/world.h"

namespace egret::sim {
namespace {

constexpr MonoTime kStart{1'000'000};
constexpr int64_t kWallStartUs = 1'700'000'000'000'000;
constexpr int64_t kMinuteMs = 60'000;
// By then everything must have arrived: a few backoffs, HELLO timeouts and park retries.
constexpr int64_t kHealMs = 5 * 60 * kMinuteMs;
// After it the incidents have been judged and, after a backup, the sites have deleted.
constexpr int64_t kSettleMs = 6 * kMinuteMs;
constexpr int64_t kDeleteMs = 20 * kMinuteMs;
constexpr uint64_t kJobsMax = 200'000;

std::unique_ptr<Sealing> sealing_for(const Plan& plan, Entropy& entropy) {
  return plan.real_crypto ? real_sealing(entropy) : clear_sealing();
}

}  // namespace

World::World(uint64_t seed, bool print)
    : plan_(draw_plan(seed)),
      entropy_(seed),
      time_(kStart),
      journal_(time_, print),
      producer_(history_, entropy_),
      sealing_(sealing_for(plan_, entropy_)),
      cloud_disk_(cloud::kCloudSpaces),
      cloud_kv_(cloud_disk_),
      cloud_watch_(cloud_disk_, history_, journal_),
      checker_(history_, journal_, *sealing_, cloud_watch_, cloud_disk_, sites_),
      broker_(time_, journal_, entropy_, plan_, [this](const Parcel& p) { arrives(p); }) {
  journal_.tally[Met::real_crypto] += plan_.real_crypto;
  cloud_kv_.watch(&cloud_watch_);
  boot_cloud();
  const Facility second = plan_.one_facility ? "north" : "south";
  sites_.push_back(std::make_unique<Site>("north/0", "north", history_, journal_));
  sites_.push_back(std::make_unique<Site>(second + "/1", second, history_, journal_));
  for (const auto& site : sites_) {
    auto txn = store_->begin();
    txn->put(site->fac, cloud::Registration{{sealing_->site_key(site->fac)}, false, false});
    store_->commit(std::move(txn));
  }
  boot(*sites_[0]);
  if (!plan_.one_facility) boot(*sites_[1]);
}

World::~World() = default;

Now World::now_at(const Site& site) const {
  return {time_.now(), {kWallStartUs + time_.now().ms * 1000 + site.wall_offset_us}};
}

Now World::now_in_cloud() const {
  return {time_.now(), {kWallStartUs + time_.now().ms * 1000}};
}

void World::run_until(MonoTime end) {
  while (!journal_.failed() && time_.run_next(end)) {
    if (++jobs_ > kJobsMax) journal_.fail("I16", "more than {} events: the world runs in a circle", kJobsMax);
  }
}

void World::heal() {
  journal_.note("---- the faults stop ----");
  healing_ = true;
  packet_limit_ = 0;
  broker_.heal();
  for (const auto& site : sites_) {
    // A broker that lets more through is a new connection to it.
    if (site->connected) cut_link(*site, "the network was mended");
  }
}

void World::run() {
  for (const Planned& planned : plan_.deeds) time_.in(planned.at_ms, [this, planned] { perform(planned); });
  run_until(kStart + plan_.span_ms);
  heal();
  const MonoTime limit = time_.now() + kHealMs;
  std::string missing;
  do {
    run_until(time_.now() + kMinuteMs);
    missing = checker_.missing();
  } while (!journal_.failed() && !missing.empty() && time_.now() < limit);
  if (!missing.empty()) journal_.fail("I16", "{}", missing);
  run_until(time_.now() + kSettleMs);
  if (journal_.failed()) return;
  checker_.end();
  back_up();
  confirm();
  const MonoTime deleted_by = time_.now() + kDeleteMs;
  while (!journal_.failed() && time_.now() < deleted_by && !checker_.not_deleted().empty()) {
    run_until(time_.now() + kMinuteMs);
  }
  const bool by_backup = plan_.safe != cloud::SafePolicy::age;
  if (const std::string held = checker_.not_deleted(); by_backup && !held.empty()) {
    journal_.fail("I16", "all is in a confirmed backup, and {}", held);
  }
}

}  // namespace egret::sim
