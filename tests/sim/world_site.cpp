// The part of World that is an agent's daemon: it carries out what the session asks for.
#include "tests/sim/world.h"

namespace egret::sim {

using namespace egret::edge;

namespace {

constexpr size_t kTopicBytes = 64;

template <class... F>
struct Cases : F... {
  using F::operator()...;
};
template <class... F>
Cases(F...) -> Cases<F...>;

const char* name_of(Refusal refusal) {
  constexpr const char* kNames[] = {"not now", "no answer", "identity"};
  return kNames[static_cast<size_t>(refusal)];
}

}  // namespace

void World::boot(Site& site) {
  site.life++;
  site.watch.process = next_process_++;
  site.writes.clear();
  auto opened = Buffer::open(site.kv, site.fac, site.entropy);
  if (!opened) {
    // Only what was made to fail may end it.
    const Errc code = opened.error().code;
    if (code != Errc::store_failed && code != Errc::disk_full) journal_.fail("I1", "{}: {}", site.name, opened.error().text);
    reopen(site);
    return restart_later(site, 1000);
  }
  site.buffer = std::move(*opened);
  stepping_ = &site;
  SessionConfig config;
  config.facility = site.fac;
  config.agent_version = "sim";
  config.zstd_level = 1;
  site.session = std::make_unique<Session>(
      config, *site.buffer, [this] { return open_run(*stepping_); }, site.entropy, site.remembered,
      site.buffer->view(), now_at(site));
  journal_.note("{} starts, {} epochs", site.name, site.watch.rows().size());
  check_witness(site);
  wait_for_deadline(site);
}

// The process is gone; its disk stays.
void World::end_process(Site& site) {
  site.life++;
  site.connection++;
  site.connected = false;
  site.watch.process = 0;
  site.writes.clear();
  site.session.reset();
  site.buffer.reset();
  site.overheard = {};
}

// The next process finds what the failed writes and syncs of this one left.
void World::reopen(Site& site) {
  site.kv.heal();
  site.kv.process_ends();
  if (!site.disk.reopen(chance_)) return;
  site.kv.becomes_another();
  site.watch.look_anew();
  checker_.conserve();
}

void World::restart_later(Site& site, int64_t ms) {
  time_.in(ms, [this, &site, life = site.life] {
    if (site.life == life) boot(site);
  });
}

void World::wait_for_deadline(Site& site) {
  const MonoTime at = site.session->next_deadline();
  if (at.ms == INT64_MAX) return;
  time_.in(std::max<int64_t>(at - time_.now(), 0) + 1, [this, &site, life = site.life, at] {
    if (site.life == life && site.session->next_deadline() == at) drive(site, TimerFired{});
  });
}

void World::drive(Site& site, const Event& event) {
  const uint64_t life = site.life;
  stepping_ = &site;
  for (Action& action : site.session->step(event, now_at(site))) {
    if (site.life == life) carry_out(site, std::move(action));
  }
  if (site.life != life) return;
  if (site.buffer->failed()) return wrote(site, false);
  wait_for_deadline(site);
}

void World::carry_out(Site& site, Action action) {
  Tally& tally = journal_.tally;
  const bool to_disk = std::visit(
      Cases{[&](const Connect& a) { connect(site, a); return false; },
            [&](const Disconnect&) {
              site.connection++;
              site.connected = false;
              return false;
            },
            [&](const Publish& a) { publish(site, a); return false; },
            [&](const Remember& a) { site.remembered = a.memory; return false; },
            [&](const Notice& a) {
              tally[Met::new_runs] += a.kind == Notice::Kind::new_run;
              tally[Met::w_falls] += a.kind == Notice::Kind::cloud_went_back;
              journal_.note("{} says: {} in lane {} {}", site.name, static_cast<int>(a.kind), name_of(a.lane), a.why);
              return false;
            },
            [&](const Purge& a) { checker_.asked_to_purge(site, a); return true; },
            [&](const auto&) { return true; }},
      action);
  if (!to_disk) return;
  site.writes.push_back(std::move(action));
  if (site.writes.size() == 1) write_next(site);
}

// The writer takes its time; meanwhile the session goes on with an older view.
void World::write_next(Site& site) {
  time_.in(1 + below(plan_.disk_ms), [this, &site, life = site.life] {
    if (site.life != life || site.writes.empty()) return;
    const Action action = std::move(site.writes.front());
    site.writes.pop_front();
    write(site, action);
    if (site.life == life && !site.writes.empty()) write_next(site);
  });
}

void World::write(Site& site, const Action& action) {
  Tally& tally = journal_.tally;
  bool ok = true;
  const bool moves = std::holds_alternative<Rehome>(action) || std::holds_alternative<RehomeBlocks>(action);
  if (moves && std::exchange(site.cut_move, false)) site.disk.fail_write(2, KvMemory::Failure::lost);
  std::visit(Cases{[&](const Purge& a) {
                     for (const PurgeTo& p : a.upto) {
                       journal_.note("{} purges e{:04x} s{} to {} safe {}", site.name, p.key.epoch.value % 0x10000, int(p.key.stream),
                            p.to.value, p.safe.value);
                     }
                     ok = site.buffer->purge(a.upto).has_value();
                   },
                   [&](const Rehome& a) {
                     tally[Met::rehomes]++;
                     journal_.note("{} re-homes e{:04x} s{}", site.name, a.key.epoch.value % 0x10000, int(a.key.stream));
                     ok = site.buffer->rehome(a.key).has_value();
                   },
                   [&](const RehomeBlocks& a) {
                     tally[Met::block_rehomes]++;
                     journal_.note("{} re-homes e{:04x} s{} {}..{}", site.name, a.key.epoch.value % 0x10000, int(a.key.stream),
                          a.first.value, a.last.value);
                     ok = site.buffer->rehome_blocks(a.key, a.first, a.last).has_value();
                   },
                   [&](const Park& a) {
                     tally[Met::parks]++;
                     journal_.note("{} parks e{:04x} s{} {}", site.name, a.key.epoch.value % 0x10000, int(a.key.stream), a.first.value);
                     ok = site.buffer->park(a.key, a.first, a.reason).has_value();
                   },
                   [&](const MarkCorrupt& a) {
                     journal_.note("{} marks corrupt e{:04x} s{} {}", site.name, a.key.epoch.value % 0x10000, int(a.key.stream), a.first.value);
                     ok = site.buffer->mark_corrupt(a.key, a.first).has_value();
                   },
                   [&](const Unpark& a) {
                     const auto n = site.buffer->unpark(a.stream);
                     ok = n.has_value();
                     if (ok) tally[Met::unparks] += *n;
                   },
                   [&](const auto&) {}},
             action);
  wrote(site, ok);
}

// After every change of the disk.
void World::wrote(Site& site, bool ok) {
  checker_.conserve();
  if (!ok || site.buffer->failed()) {
    journal_.note("{} closes its store after a failed write", site.name);
    end_process(site);
    reopen(site);
    return restart_later(site, 500);
  }
  tell_view(site);
}

void World::tell_view(Site& site) {
  const uint64_t number = ++site.view_made;
  time_.in(1 + below(plan_.disk_ms), [this, &site, life = site.life, number, view = site.buffer->view()] {
    if (site.life != life || number < site.view_told) return;
    site.view_told = number;
    write_witness(site);
    drive(site, ViewChanged{view});
  });
}

void World::connect(Site& site, const Connect& connect) {
  const uint64_t connection = ++site.connection;
  site.connected = false;
  site.client_id = connect.client_id;
  time_.in(broker_.latency(), [this, &site, connection] {
    if (site.connection != connection) return;
    if (time_.now() < refuses_until_) return refuse(site);
    for (const auto& other : sites_) {  // a broker allows a client id once
      if (other.get() != &site && other->connected && other->client_id == site.client_id) cut_link(*other, "session taken over");
    }
    site.connected = true;
    const bool said = packet_limit_ > 0 && plan_.says_limit;
    drive(site, Connected{said ? packet_limit_ - kTopicBytes : 0, "broker"});
  });
}

void World::refuse(Site& site) {
  journal_.tally[Met::refused]++;
  journal_.note("{} is refused: {}", site.name, name_of(refusal_));
  if (refusal_ == Refusal::silent) return;
  drive(site, ConnectFailed{refusal_ == Refusal::identity, "refused"});
}

void World::publish(Site& site, const Publish& publish) {
  checker_.sent_by_site(site, publish.frame);
  const auto opened = sealing_->look_into(site.fac, publish.frame);
  journal_.note("{} sends {} ({} bytes)", site.name, opened ? describe(*opened) : "a sealed frame", publish.frame.size());
  auto answer = [&](Event event) {
    time_.in(broker_.latency(), [this, &site, life = site.life, connection = site.connection, event, frame = publish.frame] {
      // What the link says may still be in the process's queue when it is cut.
      const bool late = site.connection != connection && chance_.below(4) == 0;
      if (site.life != life || (site.connection != connection && !late)) return;
      if (std::holds_alternative<PublishFailed>(event)) checker_.unsent_by_site(site, frame);
      drive(site, event);
    });
  };
  if (site.sends_fail > 0) {
    site.sends_fail--;
    journal_.tally[Met::unsent]++;
    return answer(PublishFailed{publish.token, false, "the queue of the link is full"});
  }
  if (!site.connected) return answer(PublishFailed{publish.token, false, "not connected"});
  if (packet_limit_ > 0 && publish.frame.size() + kTopicBytes > packet_limit_) {
    journal_.tally[Met::oversized]++;
    if (plan_.says_limit) return answer(PublishFailed{publish.token, true, "packet too large"});
    time_.in(1, [this, &site, life = site.life, connection = site.connection] {
      if (site.life == life && site.connection == connection) cut_link(site, "packet too large");
    });
    return;
  }
  answer(Published{publish.token});
  broker_.take({site.fac, publish.topic, publish.frame});
}

void World::cut_link(Site& site, const char* why) {
  site.connection++;
  site.connected = false;
  site.overheard.in_flight.clear();
  site.overheard.reaches.clear();
  site.overheard.credit = 0;
  journal_.note("{} loses its link: {}", site.name, why);
  if (site.runs()) drive(site, Disconnected{why});
}

// Unanswered: the process dies before the producer hears of it; the record may or may not be there.
bool World::append(Site& site, bool answered) {
  if (!site.runs()) return false;
  Unit unit;
  std::vector<Id> ids;
  Tally& tally = journal_.tally;
  auto chance = [&](uint64_t permille) { return chance_.below(1000) < permille; };
  for (uint64_t n = 1 + chance_.below(plan_.unit_max); n > 0; n--) {
    StreamId lane = chance(plan_.critical_permille) ? StreamId::critical : StreamId::result;
    if (chance(plan_.telemetry_permille)) lane = StreamId::telemetry;
    if (chance(plan_.bulk_permille)) lane = StreamId::bulk;
    RecordKind kind = RecordKind::small;
    if (chance(plan_.large_permille)) kind = RecordKind::large;
    if (chance(plan_.poison_permille)) kind = chance_.below(2) == 0 ? RecordKind::undecodable : RecordKind::wrong_facility;
    std::optional<Made> made;
    if (chance(plan_.again_permille)) made = producer_.again(site.fac, now_at(site).wall, chance_);
    tally[Met::repeated_bodies] += made.has_value();
    if (!made) made = producer_.make(site.fac, kind, now_at(site).wall, chance_);
    tally[Met::poison] += history_.fact(made->id).poison;
    tally[Met::large_records] += kind == RecordKind::large;
    tally[Met::telemetry] += lane == StreamId::telemetry;
    ids.push_back(made->id);
    unit.records.push_back({lane, std::move(made->record)});
  }
  const bool ok = site.buffer->append(std::span(&unit, 1), now_at(site).wall).has_value();
  std::string list;
  for (size_t i = 0; i < ids.size(); i++) list += fmt::format(" {}@s{}", ids[i], int(unit.records[i].stream));
  journal_.note("{} appends{}{}", site.name, list, !ok ? ": failed" : answered ? "" : ": no answer");
  if (ok && answered) {
    tally[Met::records] += ids.size();
    for (Id id : ids) {
      // A copy that came anew is promised anew.
      Fact& fact = history_.fact(id);
      fact.accepted = true;
      if (site.watch.held().contains(id)) fact.excused = fact.single = false;
    }
  }
  wrote(site, ok);
  return ok;
}

}  // namespace egret::sim
