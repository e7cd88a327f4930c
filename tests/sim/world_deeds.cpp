// The part of World that does what the plan says: the faults.
#include "tests/sim/world.h"

namespace egret::sim {

using namespace egret::edge;

namespace {

constexpr int64_t kDownMs = 20'000;
constexpr int64_t kOutageMs = 240'000;
constexpr int64_t kFullMs = 600'000;
constexpr uint64_t kRoomBytes = 2'000;
constexpr int64_t kYearUs = 365LL * 24 * 3600 * 1'000'000;

}  // namespace

void World::perform(const Planned& planned) {
  Site& site = *sites_[planned.site % sites_.size()];
  // What a deed draws does not hang on the deeds before it: a plan can lose some and the rest stays what it was.
  chance_ = SeededEntropy(planned.chance);
  journal_.note("* {} {}", name_of(planned.deed), site.name);
  if (planned.deed <= Deed::append_unanswered) return perform_on_site(planned.deed, site);
  if (planned.deed <= Deed::clock_jump) return perform_on_machine(planned.deed, site);
  if (planned.deed <= Deed::site_revoked) return perform_on_keys(planned.deed, site);
  if (planned.deed <= Deed::old_restore) return perform_on_cloud(planned.deed, site);
  perform_on_broker(planned.deed, site);
}

void World::perform_on_site(Deed deed, Site& site) {
  if (deed == Deed::append) {
    append(site, true);
    return;
  }
  if (!append(site, false)) return;
  journal_.tally[Met::unanswered]++;
  if (!site.runs()) return;
  end_process(site);
  restart_later(site, 1 + below(kDownMs));
}

void World::perform_on_machine(Deed deed, Site& site) {
  Tally& tally = journal_.tally;
  switch (deed) {
    case Deed::edge_crash:
      if (!site.runs()) return;
      tally[Met::edge_crashes]++;
      end_process(site);
      lose_power(site);
      return restart_later(site, 1 + below(kDownMs));
    case Deed::move_cut_short:
      site.cut_move = true;
      return;
    case Deed::edge_write_fails:
    case Deed::edge_sync_gone:
    case Deed::edge_reads_fail:
    case Deed::disk_full:
    case Deed::corrupt:
      return perform_on_disk(deed, site);
    case Deed::image:
      return take_image(site);
    case Deed::disk_rollback:
    case Deed::live_rollback:
    case Deed::disk_replaced:
      return roll_back(deed, site);
    case Deed::disk_clone:
    case Deed::live_clone:
      return clone(deed == Deed::live_clone);
    case Deed::shed: {
      if (!site.runs()) return;
      const auto shed = site.buffer->shed_oldest(
          [&](EpochId e) { return site.session->confirmed({e, StreamId::telemetry}); });
      if (shed) tally[Met::sheds] += *shed > 0;
      return wrote(site, shed.has_value());
    }
    case Deed::room_purge:
      return make_room(site);
    default:
      tally[Met::clock_jumps]++;
      site.wall_offset_us = static_cast<int64_t>(chance_.below(100)) * kYearUs - 50 * kYearUs;
  }
}

void World::perform_on_disk(Deed deed, Site& site) {
  Tally& tally = journal_.tally;
  switch (deed) {
    case Deed::edge_write_fails:
      if (!site.runs()) return;
      tally[Met::failed_edge_writes]++;
      return site.disk.fail_write(1 + chance_.below(4), chance_.below(2) == 0 ? KvMemory::Failure::lost : KvMemory::Failure::applied);
    case Deed::edge_sync_gone:
      if (!site.runs()) return;
      tally[Met::syncs_gone]++;
      return site.disk.fail_write(1 + chance_.below(4), KvMemory::Failure::gone);
    case Deed::edge_reads_fail:
      if (!site.runs()) return;
      tally[Met::failed_reads]++;
      return site.kv.fail_read(1 + chance_.below(40));
    case Deed::disk_full:
      tally[Met::full_disks]++;
      site.disk.set_capacity(site.disk.disk_bytes() + chance_.below(kRoomBytes));
      return time_.in(1 + below(kFullMs), [&site] { site.disk.set_capacity(0); });
    default:
      if (site.watch.spoil(chance_.next(), chance_.next())) tally[Met::corrupt_blocks]++;
      return checker_.conserve();
  }
}

// What was synced is there; of a disk that lies, what it had time for.
void World::lose_power(Site& site) {
  const bool lost = site.disk.unsynced() > 0;
  site.kv.heal();
  site.disk.crash(chance_);
  if (lost) site.kv.becomes_another();
  site.kv.power_fails(chance_);
  if (!lost) return;
  site.watch.look_anew();
  // Only a disk that lied may lose what was answered for.
  if (plan_.lying_disk) checker_.site_went_back(site.fac);
  checker_.conserve();
}

void World::roll_back(Deed deed, Site& site) {
  Tally& tally = journal_.tally;
  if (deed == Deed::disk_replaced) {
    if (!site.runs()) return;
    tally[Met::disks_replaced]++;
    return become(site, MachineImage{KvMemory(kEdgeSpaces).snapshot(), {}, 0, {}, nullptr, {}, {}, {}, {}}, false);
  }
  if (site.images.empty()) return;
  const MachineImage image = site.images[chance_.below(site.images.size())];
  const bool live = deed == Deed::live_rollback && image.process != 0 && is_heard(image);
  tally[live ? Met::live_rollbacks : Met::disk_rollbacks]++;
  become(site, image, live);
}

void World::take_image(Site& site) {
  MachineImage image;
  image.disk = site.disk.snapshot();
  image.remembered = site.remembered;
  image.witness = site.witness;
  image.skew = site.skew;
  if (site.runs()) {
    image.process = site.watch.process;
    image.buffer = site.buffer->memory();
    image.session = std::make_shared<Session>(*site.session, *site.buffer);
    image.writes = site.writes;
    image.overheard = site.overheard;
  }
  site.images.push_back(std::move(image));
}

// The machine's disk is that one from now on; nothing runs.
void World::take_disk(Site& site, const MachineImage& image) {
  end_process(site);
  site.disk.rollback(image.disk);
  site.kv.becomes_another();
  site.watch.look_anew();
  site.remembered = image.remembered;
  site.witness = site.older_witness = image.witness;
  site.region_key = sealing_->newest();  // whoever puts a machine back gives it today's configuration
  site.told_key = false;
}

// And so is its memory. True: what runs there thinks that it is linked.
bool World::take_memory(Site& site, const MachineImage& image) {
  site.watch.process = image.process;
  site.buffer = std::make_unique<Buffer>(site.kv, site.entropy, image.buffer);
  site.session = std::make_unique<Session>(*image.session, *site.buffer);
  site.writes = image.writes;
  site.overheard = image.overheard;
  if (!site.writes.empty()) write_next(site);
  const State state = site.session->status().state;
  return state == State::greeting || state == State::active || state == State::held;
}

// The machine is that one from now on: only its disk, with a new process, or all of it.
void World::become(Site& site, const MachineImage& image, bool live) {
  const bool was_linked = site.connected;
  const uint64_t connection = site.connection;
  take_disk(site, image);
  checker_.site_went_back(site.fac);
  if (!live) return restart_later(site, 1 + below(kDownMs));
  const bool thinks_linked = take_memory(site, image);
  if (thinks_linked && was_linked && chance_.below(2) == 0) {
    site.connected = true;
    site.connection = connection + 1;
  } else if (thinks_linked) {
    cut_link(site, "the machine was rolled back");
  }
  if (site.runs()) wait_for_deadline(site);
  if (site.runs()) tell_view(site);
}

// A second agent comes up from a copy of the first one.
void World::clone(bool live) {
  Site& original = *sites_[0];
  Site& copy = *sites_[1];
  if (copy.runs() || copy.life > 0 || original.fac != copy.fac) return;
  take_image(original);
  MachineImage image = std::move(original.images.back());
  original.images.pop_back();
  live = live && original.runs() && is_heard(image);
  journal_.tally[live ? Met::live_clones : Met::disk_clones]++;
  if (live) {
    const uint64_t process = next_process_++;
    history_.clone_writer(image.process, process);
    image.process = process;
  }
  take_disk(copy, image);
  if (!live) return restart_later(copy, 1);
  if (take_memory(copy, image)) cut_link(copy, "the machine was cloned");
  wait_for_deadline(copy);
  tell_view(copy);
}

// es1 5.6: the disk needs room, so what is confirmed goes, though no backup has it yet.
void World::make_room(Site& site) {
  if (!site.runs()) return;
  drive(site, DiskPressed{});
  if (!site.runs()) return;
  std::vector<PurgeTo> upto;
  for (const EpochView& epoch : site.buffer->view().epochs) {
    for (size_t i = 0; i < kStreamCount; i++) {
      const StreamKey key{epoch.id, StreamId(i)};
      const Seq confirmed = site.session->confirmed(key);
      const StreamView& s = epoch.streams[i];
      if (s.moved || s.moving || confirmed <= s.purged || confirmed > s.head || !site.buffer->c_at(key, confirmed)) continue;
      upto.push_back({key, confirmed, site.session->safe(key)});
    }
  }
  if (upto.empty()) return;
  journal_.tally[Met::room_purges]++;
  site.watch.room_purge = true;
  const bool ok = site.buffer->purge(upto).has_value();
  site.watch.room_purge = false;
  wrote(site, ok);
}

void World::perform_on_cloud(Deed deed, Site& site) {
  Tally& tally = journal_.tally;
  Region& region = regions_[chance_.below(regions_.size())];
  const size_t r = static_cast<size_t>(&region - regions_.data());
  switch (deed) {
    case Deed::reconciler_crash:
      if (!region.reconciler) return;
      tally[Met::reconciler_crashes]++;
      end_reconciler(region);
      return time_.in(1 + below(kDownMs), [this, r, life = region.life, cloud_life = cloud_life_] {
        if (regions_[r].life == life && cloud_life_ == cloud_life && store_) boot_reconciler(r);
      });
    case Deed::reconciler_hangs:
      if (!region.reconciler) return;
      tally[Met::reconciler_hangs]++;
      region.hangs_until = time_.now() + 1 + below(kOutageMs);
      return;
    case Deed::block_site:
      tally[Met::blocked_sites]++;
      set_blocked(site.fac, true);
      return time_.in(1 + below(kOutageMs), [this, &site] { set_blocked(site.fac, false); });
    default:
      return perform_on_store(deed);
  }
}

void World::perform_on_store(Deed deed) {
  Tally& tally = journal_.tally;
  switch (deed) {
    case Deed::cloud_crash:
      if (!store_) return;
      tally[Met::cloud_crashes]++;
      end_cloud();
      cloud_disk_.crash(chance_);
      cloud_watch_.look_anew();
      return time_.in(1 + below(kDownMs), [this, life = cloud_life_] {
        if (cloud_life_ == life) boot_cloud();
      });
    case Deed::commit_fails:
      tally[Met::failed_commits]++;
      return cloud_kv_.fail_next(chance_.below(2) == 0 ? WriteFault::lost : WriteFault::applied);
    case Deed::commit_unknown:
      tally[Met::unknown_commits]++;
      return cloud_kv_.fail_next(chance_.below(2) == 0 ? WriteFault::unknown_lost : WriteFault::unknown_applied);
    case Deed::backup:
      return back_up();
    case Deed::confirm:
      if (backups_.empty()) back_up();
      return confirm();
    default:
      return restore(deed == Deed::restore);
  }
}

void World::perform_on_broker(Deed deed, Site& site) {
  Tally& tally = journal_.tally;
  switch (deed) {
    case Deed::link_cut:
      if (!site.runs() || site.session->status().state == State::down) return;
      tally[Met::link_cuts]++;
      return cut_link(site, "cut");
    case Deed::send_fails:
      site.sends_fail = 1 + chance_.below(3);
      return;
    case Deed::up_outage:
    case Deed::down_outage:
      tally[Met::outages]++;
      return broker_.block(deed == Deed::up_outage, 1 + below(kOutageMs));
    case Deed::broker_restart:
      broker_.forget_all();
      for (const auto& s : sites_) {
        if (s->connected) cut_link(*s, "the broker restarts");
      }
      return;
    case Deed::broker_refuses:
      refusal_ = static_cast<Refusal>(chance_.below(3));
      refuses_until_ = time_.now() + 1 + below(kOutageMs);
      return cut_link(site, "the broker wants it no more");
    case Deed::replay:
      tally[Met::replayed]++;
      return broker_.replay();
    case Deed::noise:
      return make_noise();
    default:
      tally[Met::packet_limits]++;
      packet_limit_ = 6'000 + chance_.below(6'000);
  }
}

// A frame with one bit changed, to whom it was sent.
void World::make_noise() {
  const std::optional<Parcel> parcel = broker_.noise();
  if (!parcel) return;
  journal_.tally[Met::noise]++;
  forged_arrives(*parcel, chance_.below(regions_.size()));
}

}  // namespace egret::sim
