// The part of World that is the region: reconcilers, group commit, store, backups.
#include "tests/sim/world.h"

namespace egret::sim {
namespace {

constexpr size_t kGroupMax = 8;
constexpr size_t kInboxMax = 256;
constexpr int64_t kCommitMs = 40;
constexpr int64_t kAloneForSimMs = 150'000;  // a world lives for minutes
constexpr uint64_t kRivalPercent = 30;

}  // namespace

void World::boot_cloud() {
  cloud_life_++;
  auto opened = cloud::open_store(cloud_kv_, entropy_);
  if (!opened) return journal_.fail("I1", "the region's store does not open: {}", opened.error().text);
  store_ = std::move(*opened);
  regions_.resize(plan_.reconcilers);
  for (size_t r = 0; r < regions_.size(); r++) boot_reconciler(r);
  register_sites();
}

void World::boot_reconciler(size_t r) {
  Region& region = regions_[r];
  region.life++;
  if (plan_.reconcilers > 1) {
    region.contested = std::make_unique<ContestedStore>(cloud_kv_, cloud_disk_, entropy_, [this, r] { rival_commits(r); });
    if (!region.contested->open()) return journal_.fail("I1", "the region's store does not open");
  }
  cloud::ReconcilerConfig config;
  config.safe = plan_.safe;
  config.safe_age_ms = plan_.safe_age_ms;
  config.alone_ms = kAloneForSimMs;
  config.credit.broker_queue_messages = plan_.credit_queue;
  region.reconciler = std::make_unique<cloud::Reconciler>(config, *sealing_, entropy_);
}

void World::end_cloud() {
  cloud_life_++;
  for (Region& region : regions_) end_reconciler(region);
  store_.reset();
  cloud_kv_.heal();
  sealing_->region_restarts();
}

void World::end_reconciler(Region& region) {
  region.life++;
  region.inbox.clear();
  region.commit_waits = false;
  region.reconciler.reset();
  region.contested.reset();
}

bool World::arrives(const Parcel& parcel, size_t reconciler) {
  if (parcel.forged) {
    forged_arrives(parcel, reconciler);
    return true;
  }
  if (parcel.topic == TopicKind::down) {
    for (const auto& site : sites_) {
      // A frame may have been on its way through the process when the link broke.
      const bool late = !site->connected && site->runs() && chance_.below(8) == 0;
      if (site->fac != parcel.fac || (!site->connected && !late)) continue;
      const bool answered = site->overheard.believed.has_value();  // what comes after the first answer is a stray frame
      checker_.heard_by_site(*site, parcel.frame);
      if (!answered) note_next_key(*site);
      drive(*site, edge::FrameArrived{parcel.frame});
    }
    return true;
  }
  const size_t r = reconciler % regions_.size();
  Region& region = regions_[r];
  if (!region.reconciler) return true;
  if (time_.now() < region.hangs_until && region.inbox.size() >= kGroupMax) return false;
  if (region.inbox.size() < kInboxMax) region.inbox.push_back({parcel.fac, parcel.topic, parcel.frame});
  commit_soon(r);
  return true;
}

// I20: what nobody sent changes nothing in the store, and costs a site at most a HELLO.
void World::forged_arrives(const Parcel& parcel, size_t reconciler) {
  if (parcel.topic != TopicKind::down) {
    Region& region = regions_[reconciler % regions_.size()];
    if (!region.reconciler || !store_) return;
    const auto before = cloud_disk_.writes();
    const std::vector<cloud::Inbound> group{{parcel.fac, parcel.topic, parcel.frame}};
    cloud::Committer committer(*store_, *region.reconciler);
    (void)committer.run(group, now_in_cloud());
    journal_.tally.checked[20]++;
    if (cloud_disk_.writes() != before) journal_.fail("I20", "a forged frame was written to the store");
    return;
  }
  for (const auto& site : sites_) {
    if (site->fac != parcel.fac || !site->connected) continue;
    const auto before = site->disk.writes();
    stepping_ = site.get();
    journal_.note("{} gets a forged frame", site->name);
    checker_.forged_for_site(*site, site->session->step(edge::FrameArrived{parcel.frame}, now_at(*site)),
                             [&](edge::Action action) { carry_out(*site, std::move(action)); });
    if (site->disk.writes() != before) journal_.fail("I20", "a forged frame was written at {}", site->name);
    if (site->runs()) wait_for_deadline(*site);
  }
}

void World::commit_soon(size_t r) {
  Region& region = regions_[r];
  if (std::exchange(region.commit_waits, true)) return;
  const int64_t hangs_ms = std::max<int64_t>(region.hangs_until - time_.now(), 0);
  time_.in(1 + below(kCommitMs) + hangs_ms, [this, r, life = region.life] {
    if (regions_[r].life == life) commit_group(r);
  });
}

void World::commit_group(size_t r) {
  Region& region = regions_[r];
  region.commit_waits = false;
  std::vector<cloud::Inbound> group;
  while (!region.inbox.empty() && group.size() < kGroupMax) {
    group.push_back(std::move(region.inbox.front()));
    region.inbox.pop_front();
  }
  for (const cloud::Inbound& in : group) {
    const auto opened = sealing_->look_into(in.fac, in.frame);
    journal_.note("cloud takes {} of {}", opened ? describe(*opened) : "a sealed frame", in.fac);
  }
  cloud::Store& store = region.contested ? static_cast<cloud::Store&>(*region.contested) : *store_;
  cloud::Committer committer(store, *region.reconciler);
  const cloud::CommitReport report = committer.run(group, now_in_cloud());
  if (report.failed + report.unknown > 0) {
    journal_.note("cloud: {} commits failed, {} are unknown", report.failed, report.unknown);
  }
  if (report.outcomes.size() == group.size()) checker_.committed(group, report.outcomes);
  check_revoked(group, report);
  for (const cloud::Reply& reply : report.replies) {
    checker_.said_by_cloud(reply);
    const auto opened = sealing_->look_into(reply.fac, reply.frame);
    journal_.note("cloud answers {} {}", reply.fac, opened ? describe(*opened) : "a sealed frame");
    broker_.take({reply.fac, TopicKind::down, reply.frame});
  }
  checker_.conserve();
  if (!region.inbox.empty()) commit_soon(r);
}

// Between the work of one reconciler and its commit, another one works and commits.
void World::rival_commits(size_t r) {
  if (!rivals_ || chance_.below(100) >= kRivalPercent) return;
  rivals_ = false;
  for (size_t i = 1; i < regions_.size(); i++) {
    const size_t other = (r + i) % regions_.size();
    if (!regions_[other].reconciler || regions_[other].inbox.empty()) continue;
    journal_.note("  meanwhile another reconciler commits");
    commit_group(other);
    journal_.tally[Met::lost_races] += regions_[r].contested->overtaken();
  }
  rivals_ = !healing_;
}

void World::set_blocked(const Facility& fac, bool blocked) {
  blocked ? (void)blocked_.insert(fac) : (void)blocked_.erase(fac);
  if (store_) register_sites();
}

void World::back_up() {
  if (!store_) return;
  Backup backup{cloud_disk_.snapshot(), {}, checker_.claims, false};
  for (const auto& [name, row] : cloud_watch_.rows()) backup.rows.push_back({name.first, name.second, row.w, row.c});
  backups_.push_back(std::move(backup));
  journal_.tally[Met::backups]++;
}

void World::confirm() {
  if (!store_ || backups_.empty()) return;
  Backup& backup = backups_.back();
  // A confirmation that failed may have been written all the same: it is given again.
  if (!store_->confirm_backup(backup.rows, now_in_cloud().wall) &&
      !store_->confirm_backup(backup.rows, now_in_cloud().wall)) {
    return journal_.fail("I1", "a backup cannot be confirmed");
  }
  backup.confirmed = true;
  journal_.tally[Met::confirms]++;
}

// The newest confirmed one, or an older one: then the sites may have deleted what it lacks.
void World::restore(bool newest) {
  std::vector<size_t> usable;
  for (size_t i = 0; i < backups_.size(); i++) {
    if (backups_[i].confirmed) usable.push_back(i);
  }
  if (usable.empty() || (!newest && usable.size() < 2)) return;
  const size_t chosen = newest ? usable.back() : usable[chance_.below(usable.size() - 1)];
  journal_.tally[newest ? Met::restores : Met::old_restores]++;
  journal_.note("cloud is restored from backup {} of {}", chosen + 1, backups_.size());
  end_cloud();
  cloud_disk_.rollback(backups_[chosen].state);
  checker_.claims = backups_[chosen].claims;
  cloud_watch_.look_anew();
  boot_cloud();
  if (journal_.failed()) return;
  (void)store_->mark_restored(entropy_, now_in_cloud().wall, "simulated");
  const bool s_is_backup = plan_.safe == cloud::SafePolicy::backup;
  checker_.cloud_went_back(!newest || !s_is_backup);
  checker_.conserve();
}

}  // namespace egret::sim
