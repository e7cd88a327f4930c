// The part of World that is the region: reconciler, group commit, store, backups.
#include "tests/sim/world.h"

namespace egret::sim {
namespace {

constexpr size_t kGroupMax = 8;
constexpr int64_t kCommitMs = 40;
constexpr int64_t kAloneForSimMs = 150'000;  // a world lives for minutes

}  // namespace

void World::boot_cloud() {
  cloud_life_++;
  auto opened = cloud::open_store(cloud_kv_, entropy_);
  if (!opened) return journal_.fail("I1", "the region's store does not open: {}", opened.error().text);
  store_ = std::move(*opened);
  cloud::ReconcilerConfig config;
  config.safe = plan_.safe;
  config.safe_age_ms = plan_.safe_age_ms;
  config.alone_ms = kAloneForSimMs;
  reconciler_ = std::make_unique<cloud::Reconciler>(config, *sealing_, entropy_);
}

void World::end_cloud() {
  cloud_life_++;
  inbox_.clear();
  commit_waits_ = false;
  reconciler_.reset();
  store_.reset();
  cloud_kv_.fail_next(WriteFault::none);
}

void World::arrives(const Parcel& parcel) {
  if (parcel.topic == TopicKind::down) {
    for (const auto& site : sites_) {
      if (site->fac != parcel.fac || !site->connected) continue;
      checker_.heard_by_site(*site, parcel.frame);
      drive(*site, edge::FrameArrived{parcel.frame});
    }
    return;
  }
  if (!reconciler_) return;
  inbox_.push_back({parcel.fac, parcel.topic, parcel.frame});
  if (std::exchange(commit_waits_, true)) return;
  time_.in(1 + below(kCommitMs), [this, life = cloud_life_] {
    if (cloud_life_ == life) commit_group();
  });
}

void World::commit_group() {
  commit_waits_ = false;
  std::vector<cloud::Inbound> group;
  while (!inbox_.empty() && group.size() < kGroupMax) {
    group.push_back(std::move(inbox_.front()));
    inbox_.pop_front();
  }
  for (const cloud::Inbound& in : group) {
    const auto opened = sealing_->look_into(in.fac, in.frame);
    journal_.note("cloud takes {} of {}", opened ? describe(*opened) : "a sealed frame", in.fac);
  }
  cloud::Committer committer(*store_, *reconciler_);
  const cloud::CommitReport report = committer.run(group, now_in_cloud());
  if (report.failed + report.unknown > 0) {
    journal_.note("cloud: {} commits failed, {} are unknown", report.failed, report.unknown);
  }
  if (report.outcomes.size() == group.size()) checker_.committed(group, report.outcomes);
  for (const cloud::Reply& reply : report.replies) {
    checker_.said_by_cloud(reply);
    const auto opened = sealing_->look_into(reply.fac, reply.frame);
    journal_.note("cloud answers {} {}", reply.fac, opened ? describe(*opened) : "a sealed frame");
    broker_.take({reply.fac, TopicKind::down, reply.frame});
  }
  checker_.conserve();
  if (inbox_.empty()) return;
  commit_waits_ = true;
  time_.in(1 + below(kCommitMs), [this, life = cloud_life_] {
    if (cloud_life_ == life) commit_group();
  });
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
  const size_t chosen = newest ? usable.back() : usable[entropy_.below(usable.size() - 1)];
  journal_.tally[newest ? Met::restores : Met::old_restores]++;
  journal_.note("cloud is restored from backup {} of {}", chosen + 1, backups_.size());
  end_cloud();
  cloud_disk_.rollback(backups_[chosen].state);
  checker_.claims = backups_[chosen].claims;
  cloud_watch_.look_anew();
  boot_cloud();
  (void)store_->mark_restored(entropy_, now_in_cloud().wall, "simulated");
  const bool s_is_backup = plan_.safe == cloud::SafePolicy::backup;
  checker_.cloud_went_back(!newest || !s_is_backup);
  checker_.conserve();
}

}  // namespace egret::sim
