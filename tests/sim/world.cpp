#include "tests/sim/world.h"

namespace egret::sim {
namespace {

constexpr MonoTime kStart{1'000'000};
constexpr int64_t kWallStartUs = 1'700'000'000'000'000;
constexpr int64_t kMinuteMs = 60'000;
constexpr int64_t kYearUs = 365LL * 24 * 3600 * 1'000'000;
constexpr uint64_t kCalmEvery = 4;
constexpr Id kYears = 200;  // that a wall clock may show
// By then everything must have arrived: a few backoffs, HELLO timeouts and park retries.
constexpr int64_t kHealMs = 5 * 60 * kMinuteMs;
// After it the incidents have been judged and, after a backup, the sites have deleted.
constexpr int64_t kSettleMs = 6 * kMinuteMs;
constexpr int64_t kDeleteMs = 20 * kMinuteMs;
constexpr uint64_t kJobsMax = 300'000, kJobsPerHour = 60'000;

std::unique_ptr<Sealing> sealing_for(const Plan& plan, Entropy& entropy) {
  return plan.real_crypto ? real_sealing(entropy) : clear_sealing();
}

}  // namespace

World::World(const Plan& plan, bool print)
    : plan_(plan),
      entropy_(plan_.seed),
      chance_(plan_.seed ^ 0xc4a2ce),
      time_(kStart),
      journal_(time_, print),
      turns_(plan_.seed ^ 0x7a215, plan_.turns, journal_.tally),
      producer_(history_),
      sealing_(sealing_for(plan_, entropy_)),
      cloud_disk_(cloud::kCloudSpaces),
      cloud_kv_(cloud_disk_),
      cloud_watch_(cloud_disk_, history_, journal_),
      checker_(history_, journal_, *sealing_, cloud_watch_, cloud_disk_, sites_),
      broker_(time_, journal_, plan_, [this](const Parcel& p, size_t r) { return arrives(p, r); }) {
  journal_.tally[Met::real_crypto] += plan_.real_crypto;
  journal_.tally[Met::several_reconcilers] += plan_.reconcilers > 1;
  journal_.tally[Met::clone_seeds] += plan_.clones;
  journal_.tally[Met::lying_disks] += plan_.lying_disk;
  journal_.tally[Met::newer_sites] += plan_.newer_sites;
  journal_.tally[Met::newer_regions] += plan_.newer_region;
  cloud_kv_.watch(&cloud_watch_);
  boot_cloud();
  static const Facility kNames[] = {"north", "south", "east", "west"};
  for (uint64_t i = 0; i < plan_.sites; i++) {
    const Facility fac = plan_.clones ? kNames[0] : kNames[i];
    sites_.push_back(std::make_unique<Site>(fac + "/" + std::to_string(i), fac, plan_.seed * 8 + i, history_, journal_));
  }
  for (const auto& site : sites_) {
    site->region_key = sealing_->newest();
    site->skew.unknown_fields = plan_.newer_sites;
    if (plan_.newer_sites) site->skew.proto_max = kProtocolVersion + 1;
  }
  sealing_->newer_region = plan_.newer_region;
  register_sites();
  for (const auto& site : sites_) {
    if (plan_.clones && site != sites_[0]) continue;
    if (plan_.lying_disk) site->disk.lie(true);
    boot(*site);
  }
}

World::~World() = default;

void World::pair_disks(const MakeTwin& make) {
  for (const auto& site : sites_) {
    site->kv.pair(make(journal_));
    site->kv.becomes_another();
  }
}

Now World::now_at(const Site& site) const {
  return {time_.now(), {kWallStartUs + time_.now().ms * 1000 + site.wall_offset_us}};
}

Now World::now_in_cloud() const {
  return {time_.now(), {kWallStartUs + time_.now().ms * 1000}};
}

void World::run_until(MonoTime end) {
  while (!journal_.failed() && time_.run_next(end)) {
    const uint64_t most = kJobsMax + kJobsPerHour * static_cast<uint64_t>(plan_.span_ms / (60 * kMinuteMs));
    if (++jobs_ > most) journal_.fail("I16", "more than {} events: the world runs in a circle", most);
  }
}

void World::heal() {
  journal_.note("---- the faults stop ----");
  healing_ = true;
  const bool limited = packet_limit_ > 0;
  packet_limit_ = 0;
  refuses_until_ = time_.now();
  rivals_ = false;
  turns_.stop();
  broker_.heal();
  for (Region& region : regions_) region.hangs_until = time_.now();
  for (const auto& site : sites_) {
    site->disk.lie(false);
    site->disk.set_capacity(0);
    revoked_.erase(site->fac);
    set_blocked(site->fac, false);
    // A broker that lets more through is a new connection to it.
    if (limited && site->connected) cut_link(*site, "the network was mended");
  }
  restart_unheard();
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
    // What was on its way may still undo that: a block that is parked when its ACK has come is sent again within the hour.
    if (missing.empty()) run_until(time_.now() + kSettleMs);
    if (missing.empty()) missing = checker_.missing();
  } while (!journal_.failed() && !missing.empty() && time_.now() < limit);
  journal_.tally.checked[16]++;
  if (!missing.empty()) journal_.fail("I16", "{}", missing);
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
    return journal_.fail("I16", "all is in a confirmed backup, and {}", held);
  }
  if (!calm_ && plan_.seed % kCalmEvery == 0) compare_with_calm();
}

void World::feed(const Facility& fac, const Bytes& body, WallTime wall) {
  const auto site = std::ranges::find_if(sites_, [&](const auto& s) { return s->fac == fac; });
  const Made made = producer_.bring(fac, body, wall);
  const edge::Unit unit{{{StreamId::result, made.record}}};
  const bool ok = (*site)->buffer->append(std::span(&unit, 1), wall).has_value();
  history_.fact(made.id).accepted = true;
  wrote(**site, ok);
}

// I18 and I19: the same statements, arriving without any fault in another order, lane and year, give the same store.
void World::compare_with_calm() {
  Plan calm;
  calm.seed = plan_.seed + 1;
  calm.sites = plan_.clones ? 1 : plan_.sites;
  calm.safe = cloud::SafePolicy::commit;
  calm.latency_ms = 20;
  calm.disk_ms = 5;
  calm.span_ms = kMinuteMs;
  World other(calm, false);
  other.calm_ = true;
  const auto& stored = cloud_watch_.stored();
  for (auto id = stored.rbegin(); id != stored.rend(); ++id) {
    const Fact& fact = history_.fact(*id);
    const auto parts = split_record(history_.record(*id));
    if (!fact.poison && parts) other.feed(fact.fac, Bytes(parts->body), {static_cast<int64_t>(*id % kYears) * kYearUs});
  }
  other.run();
  journal_.tally.checked[18]++;
  journal_.tally.checked[19]++;
  if (other.journal_.failed()) return journal_.fail("I18", "the run without faults: {}", other.journal_.violation());
  if (other.checker_.digest() != checker_.digest()) journal_.fail("I18", "the store is another one than without faults");
}

}  // namespace egret::sim
