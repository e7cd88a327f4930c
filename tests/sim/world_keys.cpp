// The part of World that is keys, versions and the witness: what an operator turns, and what an old file says.
#include "schemas/es1.pb.h"
#include "tests/sim/world.h"

namespace egret::sim {

using namespace egret::edge;

namespace {

constexpr int64_t kSecondMs = 1'000;
constexpr int64_t kRestartMs = 20 * kSecondMs;
constexpr int64_t kRolloutMs = 60 * kSecondMs;
constexpr int64_t kRevokedMs = 240 * kSecondMs;

}  // namespace

// ---- keys ----

std::unique_ptr<Channel> World::open_run(Site& site) {
  RunKeys keys{site.region_key, site_keys_[site.fac].newest, site.skew.frame_version};
  if (site.remembered.next_region_key.size() == sizeof(Key32)) keys.region.point = take<sizeof(Key32)>(site.remembered.next_region_key);
  std::unique_ptr<Channel> channel = sealing_->open_run(site.fac, keys, site.entropy);
  runs_[channel->sid()] = keys;
  return site.skew.is_ours() ? std::move(channel) : skewed_channel(std::move(channel), site.skew);
}

// As the operator wants them, whatever a restored store says.
void World::register_sites() {
  for (const auto& site : sites_) {
    cloud::Registration wanted;
    const SiteKeys& keys = site_keys_[site->fac];
    for (uint64_t n = keys.oldest; n <= keys.newest; n++) wanted.keys.push_back(sealing_->site_key(site->fac, n));
    wanted.revoked = revoked_.contains(site->fac);
    wanted.blocked = blocked_.contains(site->fac);
    auto txn = store_->begin();
    const auto known = txn->registration(site->fac);
    const bool same = known && *known && (*known)->keys == wanted.keys && (*known)->revoked == wanted.revoked &&
                      (*known)->blocked == wanted.blocked;
    if (same) continue;
    txn->put(site->fac, wanted);
    // The operator looks whether it worked.
    if (store_->commit(std::move(txn)) != cloud::CommitResult::committed) register_sites();
  }
}

// Would the region hear what ran there? A run that has not spoken is as new as its process.
bool World::is_heard(const MachineImage& image) const {
  const auto run = image.overheard.sid ? runs_.find(*image.overheard.sid) : runs_.end();
  if (image.skew.is_stranger()) return false;
  if (run == runs_.end()) return !sealing_->rotated && site_keys_.empty();
  return sealing_->accepts(run->second.region);
}

void World::restart(Site& site) {
  if (!site.runs()) return;
  end_process(site);
  restart_later(site, 1 + below(kRestartMs));
}

// The operator looks after agents that the region does not hear.
void World::restart_unheard() {
  for (const auto& site : sites_) {
    const auto run = site->overheard.sid ? runs_.find(*site->overheard.sid) : runs_.end();
    const bool known = run != runs_.end();
    const bool old_site_key = known && run->second.site < site_keys_[site->fac].oldest;
    const bool other = site->skew.is_stranger();
    if (other) site->skew = {};
    const bool comes_by_itself = site->told_key;  // to the new key, and stays with it
    const bool old_region_key = known && !sealing_->accepts(run->second.region) && !comes_by_itself;
    if (other || old_site_key || old_region_key) restart(*site);
  }
}

void World::perform_on_keys(Deed deed, Site& site) {
  Tally& tally = journal_.tally;
  switch (deed) {
    case Deed::region_key_rotates:
      if (sealing_->rotated) return;
      tally[Met::region_keys_rotated]++;
      return sealing_->rotate();
    case Deed::region_key_retires:
      return retire_when_told();
    case Deed::site_key_renewed:
    case Deed::site_revoked:
      return renew_key(site, deed == Deed::site_revoked);
    case Deed::witness_lost:
    case Deed::witness_old:
      return lose_witness(deed, site);
    default:
      return run_another_version(site);
  }
}

// The old key goes once every agent has been told the new one.
void World::retire_when_told() {
  if (healing_ || !sealing_->rotated) return;
  const bool all = std::ranges::all_of(sites_, [&](const auto& s) {
    return s->life == 0 || s->told_key || s->region_key.point == sealing_->newest().point;
  });
  if (!all) return time_.in(kRolloutMs, [this] { retire_when_told(); });
  if (sealing_->accepts(sealing_->newest())) journal_.tally[Met::region_keys_retired]++;
  journal_.note("the region's old key is gone");
  sealing_->retire_old();
  sealing_->retired = true;
  restart_unheard();
}

// A new key is registered beside the old one, or in the place of one that was stolen.
void World::renew_key(Site& site, bool revoke) {
  if (!store_) return;
  journal_.tally[revoke ? Met::sites_revoked : Met::site_keys_renewed]++;
  SiteKeys& keys = site_keys_[site.fac];
  keys.newest++;
  if (revoke) revoked_.insert(site.fac);
  register_sites();
  for (const auto& s : sites_) {
    if (s->fac == site.fac) restart(*s);
  }
  time_.in(kRestartMs + kSecondMs + below(revoke ? kRevokedMs : 1), [this, fac = site.fac, newest = keys.newest] {
    site_keys_[fac].oldest = std::max(site_keys_[fac].oldest, newest);
    revoked_.erase(fac);
    if (store_) register_sites();
    restart_unheard();
  });
}

// What of it the session takes, it takes to its memory.
void World::note_next_key(Site& site) {
  const auto& welcome = site.overheard.believed;
  const State state = site.session->status().state;
  if (!welcome || welcome->status() != es1::WELCOME_OK || welcome->hello_no_nonce() != welcome->hello_nonce()) return;
  if (state != State::greeting && state != State::active) return;
  site.told_key |= welcome->next_region_key() == Bytes(view(sealing_->newest().point)) && sealing_->rotated;
}

// A site that is revoked is not heard at all.
void World::check_revoked(std::span<const cloud::Inbound> group, const cloud::CommitReport& report) {
  for (size_t i = 0; i < group.size() && i < report.outcomes.size(); i++) {
    if (!revoked_.contains(group[i].fac)) continue;
    const cloud::Outcome& out = report.outcomes[i];
    journal_.tally[Met::revoked_frames]++;
    if (out.wrote || out.drop == cloud::DropReason::none) journal_.fail("es1 8", "{} is revoked, and is heard", group[i].fac);
  }
}

// ---- versions ----

// For a while its program is one that knows only a later or an earlier protocol, or other frames.
void World::run_another_version(Site& site) {
  if (!site.runs()) return;
  journal_.tally[Met::other_versions]++;
  const uint64_t which = chance_.below(plan_.real_crypto ? 2 : 3);
  site.skew = {};
  if (which == 0) site.skew.proto_min = site.skew.proto_max = kProtocolVersion + 1;
  if (which == 1) site.skew.proto_min = site.skew.proto_max = kProtocolVersion - 1;
  if (which == 2) site.skew.frame_version = kProtocolVersion + 1;
  restart(site);
  time_.in(kRolloutMs + below(kRevokedMs), [this, &site] {
    if (!site.skew.is_stranger()) return;
    site.skew = {};
    restart(site);
  });
}

// ---- the witness ----

// As the daemon does: at most once a second, of what is synced.
void World::write_witness(Site& site) {
  const auto point = witness_point(site.buffer->view());
  if (!point || (site.witness && time_.now() - site.witness_at < kSecondMs)) return;
  Witnessed now{*point, 0};
  for (const StreamView& stream : site.buffer->view().find(point->epoch)->streams) now.records += stream.head.value;
  if (site.witness && site.witness->records == now.records && site.witness->point.epoch == point->epoch) return;
  site.older_witness = site.witness;
  site.witness = now;
  site.witness_at = time_.now();
}

// It must tell a tail that is gone, and nothing else.
void World::check_witness(Site& site) {
  if (!site.witness) return;
  const auto row = std::ranges::find_if(site.watch.rows(), [&](const auto& r) { return r.second.id == site.witness->point.epoch; });
  if (row == site.watch.rows().end()) return;
  uint64_t records = 0;
  for (const StreamRow& stream : row->second.streams) records += stream.head.value;
  const bool lost = records < site.witness->records;
  const bool said = is_shorter(site.buffer->view(), site.witness->point);
  journal_.tally[Met::witnesses_read]++;
  journal_.tally[Met::witness_alarms] += said;
  if (said != lost) journal_.fail("I1", "{}: the witness says {} of a store that {}", site.name, said ? "shorter" : "whole", lost ? "has lost a tail" : "is whole");
  if (said && !plan_.lying_disk) journal_.fail("I1", "{}: the witness tells of a loss on a disk that loses nothing", site.name);
}

void World::lose_witness(Deed deed, Site& site) {
  if (!site.witness) return;
  journal_.tally[deed == Deed::witness_lost ? Met::witnesses_lost : Met::witnesses_old]++;
  site.witness = deed == Deed::witness_lost ? std::nullopt : site.older_witness;
}

}  // namespace egret::sim
