#include "tests/sim/world.h"

#include <algorithm>

#include "cloud/verify.h"
#include "edge/buffer.h"
#include "schemas/chain.h"
#include "schemas/limits.h"
#include "schemas/record.h"
#include "schemas/record.pb.h"
#include "tests/unit/support/clear_channel.h"

namespace egret::sim {

struct World::Site {
  explicit Site(Facility name) : fac(std::move(name)), disk(edge::kEdgeSpaces) {}
  Facility fac;
  KvMemory disk;
  std::unique_ptr<edge::Buffer> buffer;
  std::unique_ptr<edge::Session> session;
  edge::Memory memory;
  uint64_t life = 0;        // rises with each boot: what was on its way to an older life is lost
  uint64_t connection = 0;  // likewise for each connection
  bool connected = false;
  std::set<NaturalKey> accepted, excused, shed, damaged, poison;
  KvMemory::State image;  // of the disk, for rollbacks
  bool has_image = false;
};

// Every sid is one byte repeated; frames are in clear.
struct World::Keys final : cloud::KeyRing {
  Result<std::shared_ptr<Channel>> join(const Facility&, const KeyId&, ByteView enc) override {
    return std::shared_ptr<Channel>(std::make_shared<ClearChannel>(static_cast<uint8_t>(enc[0])));
  }
  bool signed_by(const SitePublicKey&, const Facility&, const ParsedFrame&) override { return true; }
  std::optional<RegionPublicKey> next() const override { return std::nullopt; }
};

namespace {

constexpr int64_t kFaultyMs = 1'200'000;    // virtual time with faults
constexpr int64_t kHealingMs = 10'800'000;  // and without, in which everything must arrive
constexpr int64_t kProduceEveryMs = 20'000;
constexpr int64_t kFaultEveryMs = 15'000;

Bytes body_of(uint64_t n, const Facility& fac, StreamId lane) {
  v1::Body body;
  body.set_sens(1);
  body.add_purpose(v1::PURPOSE_QUALITY);
  v1::AgentEvent* event = body.mutable_agent_event();
  event->set_boot_id(Bytes(16, static_cast<char>('a' + static_cast<int>(lane))));
  event->set_counter(n);
  event->set_name("sim.event");
  event->set_severity(v1::AgentEvent::SEVERITY_INFO);
  event->mutable_t()->set_us(1'700'000'000'000'000);
  return make_body(body, fac).value().bytes;
}

NaturalKey key_of(ByteView record, const Facility& fac) {
  Result<RecordView> parts = split_record(record);
  Result<CheckedBody> body = parts ? check_body(parts->body, fac) : Result<CheckedBody>(parts.error());
  return body ? body->key : NaturalKey{Kind::agent_event, sha256(record)};
}

}  // namespace

World::World(uint64_t seed) : entropy_(seed * 0x9e3779b97f4a7c15ULL + 1), cloud_disk_(cloud::kCloudSpaces), keys_(std::make_unique<Keys>()) {
  now_ = {{1'000'000}, {1'700'000'000'000'000}};
  auto draw = [&](uint64_t most) { return entropy_.below(3) == 0 ? 0 : entropy_.below(most + 1); };
  swarm_ = {draw(300), draw(300), 50 + entropy_.below(20'000), draw(200), draw(100), draw(150), draw(200), draw(150), draw(120), draw(150), draw(100), draw(60), draw(100), draw(80), cloud::SafePolicy::backup};
  // Without restores the region may let sites delete at once.
  if (entropy_.below(2) == 0) {
    swarm_.restore = 0;
    swarm_.safe = cloud::SafePolicy::commit;
  }
  boot_cloud();
  for (const char* fac : {"north", "south"}) {
    sites_.push_back(std::make_unique<Site>(fac));
    std::unique_ptr<cloud::Txn> txn = store_->begin();
    cloud::Registration registration;
    registration.keys.push_back({});
    txn->put(fac, registration);
    store_->commit(std::move(txn));
  }
  for (auto& site : sites_) boot(*site);
}
World::~World() = default;

void World::later(int64_t in_ms, std::function<void()> what) { queue_.push({now_.mono.ms + in_ms, order_++, std::move(what)}); }

void World::advance(int64_t to_ms) {
  while (!queue_.empty() && queue_.top().at <= to_ms && violation_.empty()) {
    Later next = queue_.top();
    queue_.pop();
    now_.wall.us += (next.at - now_.mono.ms) * 1000;
    now_.mono.ms = next.at;
    next.what();
  }
  now_.wall.us += std::max<int64_t>(to_ms - now_.mono.ms, 0) * 1000;
  now_.mono.ms = std::max(now_.mono.ms, to_ms);
}

// ---- a site ----

void World::boot(Site& site) {
  site.life++;
  site.connection++;
  site.connected = false;
  site.session.reset();
  site.buffer = std::move(edge::Buffer::open(site.disk, site.fac, entropy_).value());
  edge::SessionConfig config;
  config.facility = site.fac;
  config.agent_version = "sim";
  auto channel = [this] {
    if (next_sid_ == 255) next_sid_ = 1;
    return std::make_unique<ClearChannel>(next_sid_++);
  };
  site.session = std::make_unique<edge::Session>(config, *site.buffer, channel, entropy_, site.memory, site.buffer->view(), now_);
  tick(site);
}

void World::tick(Site& site) {
  MonoTime at = site.session->next_deadline();
  int64_t wait = at.ms == INT64_MAX ? 3'600'000 : std::max<int64_t>(at - now_.mono, 0);
  later(wait + 1, [this, &site, life = site.life, at] {
    if (site.life != life || site.session->next_deadline() != at) return;
    drive(site, edge::TimerFired{});
  });
}

void World::drive(Site& site, const edge::Event& event) {
  uint64_t life = site.life;
  edge::Actions actions = site.session->step(event, now_);
  note(actions.size());
  for (edge::Action& action : actions) {
    if (site.life != life) return;
    carry_out(site, action);
  }
  tick(site);
}

void World::carry_out(Site& site, edge::Action& action) {
  auto view_later = [&] {
    later(1 + static_cast<int64_t>(entropy_.below(40)), [this, &site, life = site.life] {
      if (site.life == life) drive(site, edge::ViewChanged{site.buffer->view()});
    });
  };
  if (std::holds_alternative<edge::Connect>(action)) {
    uint64_t connection = ++site.connection;
    later(20, [this, &site, connection] {
      if (site.connection != connection) return;
      site.connected = true;
      drive(site, edge::Connected{0, "broker"});
    });
  } else if (auto* publish = std::get_if<edge::Publish>(&action)) {
    later(5 + static_cast<int64_t>(entropy_.below(30)), [this, &site, token = publish->token, connection = site.connection] {
      if (site.connection == connection && site.connected) drive(site, edge::Published{token});
    });
    to_cloud(site, publish->topic, publish->frame);
  } else if (auto* purge = std::get_if<edge::Purge>(&action)) {
    met_.purges++;
    (void)site.buffer->purge(purge->upto);
    view_later();
  } else if (auto* move = std::get_if<edge::Rehome>(&action)) {
    met_.rehomes++;
    (void)site.buffer->rehome(move->key);
    view_later();
  } else if (auto* blocks = std::get_if<edge::RehomeBlocks>(&action)) {
    met_.rehomes++;
    (void)site.buffer->rehome_blocks(blocks->key, blocks->first, blocks->last);
    view_later();
  } else if (auto* park = std::get_if<edge::Park>(&action)) {
    met_.parks++;
    (void)site.buffer->park(park->key, park->first, park->reason);
    view_later();
  } else if (auto* mark = std::get_if<edge::MarkCorrupt>(&action)) {
    (void)site.buffer->mark_corrupt(mark->key, mark->first);
    view_later();
  } else if (auto* remember = std::get_if<edge::Remember>(&action)) {
    site.memory = remember->memory;
  } else if (std::holds_alternative<edge::Disconnect>(action)) {
    site.connection++;
    site.connected = false;
  }
}

void World::produce(Site& site) {
  edge::Unit unit;
  std::vector<NaturalKey> keys;
  uint64_t n = 1 + entropy_.below(3);
  for (uint64_t i = 0; i < n; i++) {
    auto lane = static_cast<StreamId>(entropy_.below(3));
    bool repeat = next_record_ > 10 && chance(100);
    uint64_t number = repeat ? 1 + entropy_.below(next_record_ - 1) : next_record_++;
    met_.repeats += repeat;
    v1::Arrival arrival;
    arrival.set_wall_us(now_.wall.us);
    Bytes record = join_record(body_of(number, site.fac, lane), encode_arrival(arrival).value()).value();
    if (chance(swarm_.poison)) {
      record = "poison " + std::to_string(next_record_++);
      met_.poison++;
      site.poison.insert(key_of(record, site.fac));
    }
    keys.push_back(key_of(record, site.fac));
    unit.records.push_back({lane, std::move(record)});
  }
  if (!site.buffer->append(std::span(&unit, 1), now_.wall)) return;
  met_.records += keys.size();
  for (const NaturalKey& key : keys) {
    site.accepted.insert(key);
    site.excused.erase(key);
    site.shed.erase(key);
    site.damaged.erase(key);
  }
  drive(site, edge::ViewChanged{site.buffer->view()});
}

// ---- the broker and the region ----

void World::to_cloud(Site& site, TopicKind topic, Bytes frame) {
  int copies = chance(swarm_.repeat) ? 2 : 1;
  met_.frames++;
  met_.repeated += copies > 1;
  if (chance(swarm_.drop)) {
    met_.dropped++;
    return;
  }
  for (int i = 0; i < copies; i++) {
    int64_t delay = 5 + static_cast<int64_t>(entropy_.below(healing_ ? 50 : swarm_.delay_ms));
    later(delay, [this, fac = site.fac, topic, frame] {
      if (chance(swarm_.failed_commit)) {
        bool applied = entropy_.below(2) == 0;
        cloud_disk_.fail_write(1, applied ? KvMemory::Failure::applied : KvMemory::Failure::lost);
        met_.failed_commits++;
      }
      cloud::Inbound inbound{fac, topic, frame};
      cloud::Committer committer(*store_, *reconciler_);
      cloud::CommitReport report = committer.run(std::span(&inbound, 1), now_);
      bool failed = report.failed + report.unknown > 0;
      cloud_disk_.heal();
      if (failed) return boot_cloud();
      for (const cloud::Outcome& o : report.outcomes) {
        met_.forks += o.fork;
        note(o.applied);
      }
      for (const cloud::Reply& reply : report.replies) from_cloud(reply);
    });
  }
}

void World::from_cloud(const cloud::Reply& reply) {
  Result<ParsedFrame> parsed = parse_frame(reply.frame);
  met_.need_hellos += parsed && parsed->prefix.type == FrameType::need_hello;
  if (chance(swarm_.drop)) return;
  int copies = chance(swarm_.repeat) ? 2 : 1;
  for (int i = 0; i < copies; i++) {
    later(5 + static_cast<int64_t>(entropy_.below(healing_ ? 50 : swarm_.delay_ms)), [this, reply] {
      for (auto& site : sites_) {
        if (site->fac == reply.fac && site->connected) drive(*site, edge::FrameArrived{reply.frame});
      }
    });
  }
}

void World::boot_cloud() {
  store_ = std::move(cloud::open_store(cloud_disk_, entropy_).value());
  cloud::ReconcilerConfig config;
  config.safe = swarm_.safe;
  reconciler_ = std::make_unique<cloud::Reconciler>(config, *keys_, entropy_);
}

void World::back_up() {
  backup_ = cloud_disk_.snapshot();
  has_backup_ = true;
  met_.backups++;
  std::vector<cloud::KvStore::BackedUp> rows;
  for (auto& site : sites_) {
    auto all = store_->begin()->rows(site->fac).value();
    for (auto& [key, row] : all) rows.push_back({site->fac, key, row.w, row.c});
  }
  (void)store_->confirm_backup(rows, now_.wall);
}

void World::restore() {
  if (!has_backup_) return;
  met_.restores++;
  cloud_disk_.rollback(backup_);
  w_.clear();
  boot_cloud();
  (void)store_->mark_restored(entropy_, now_.wall, "sim");
  excuse_destroyed();
}

void World::fault() {
  Site& site = *sites_[entropy_.below(sites_.size())];
  if (chance(swarm_.crash)) {
    met_.crashes++;
    site.disk.crash(entropy_);
    boot(site);
  }
  if (!site.has_image || chance(100)) {
    site.image = site.disk.snapshot();
    site.has_image = true;
  } else if (chance(swarm_.rollback)) {
    met_.rollbacks++;
    site.disk.rollback(site.image);
    boot(site);
    excuse_destroyed();
  }
  if (chance(swarm_.cloud_restart)) {
    met_.cloud_restarts++;
    cloud_disk_.crash(entropy_);
    boot_cloud();
  }
  if (chance(swarm_.backup)) back_up();
  if (chance(swarm_.restore)) restore();
  if (site.connected && chance(swarm_.link_loss)) {
    met_.link_losses++;
    site.connected = false;
    site.connection++;
    drive(site, edge::Disconnected{"cut"});
  }
  if (chance(swarm_.shed)) {
    std::set<NaturalKey> before = held(site);
    Result<uint64_t> shed = site.buffer->shed_oldest([&](EpochId epoch) { return site.session->confirmed({epoch, StreamId::telemetry}); });
    std::set<NaturalKey> after = held(site);
    for (const NaturalKey& key : before) {
      if (!after.contains(key)) site.shed.insert(key);
    }
    met_.sheds += shed && *shed > 0;
    drive(site, edge::ViewChanged{site.buffer->view()});
  }
}

// ---- the checker ----

std::set<NaturalKey> World::held(Site& site) {
  std::set<NaturalKey> out;
  for (const edge::EpochView& epoch : site.buffer->view().epochs) {
    for (size_t i = 0; i < kStreamCount; i++) {
      StreamKey key{epoch.id, static_cast<StreamId>(i)};
      for (Seq at = epoch.streams[i].purged; at < epoch.streams[i].head && !epoch.streams[i].moved;) {
        std::vector<edge::Item> items = site.buffer->read(key, at, {kRawBodyBytesMax, kBatchItemsMax, kBatchRecordsMax});
        if (items.empty()) break;
        for (const edge::Item& item : items) {
          bool whole = true;
          for (ByteView record : split_records(item.raw, whole)) out.insert(key_of(record, site.fac));
        }
        at = items.back().last();
      }
    }
  }
  return out;
}

std::set<NaturalKey> World::applied(const Facility& fac) {
  std::set<NaturalKey> out;
  (void)cloud_disk_.scan(cloud::kNaturalSpace, Bytes(1, '\0'), Bytes(1, '\xff'), [&](ByteView key, ByteView) {
    std::optional<cloud::NaturalName> name = cloud::natural_of(key);
    if (name && name->fac == fac) out.insert(name->key);
    return true;
  });
  Bytes first = cloud::table_prefix('q', fac);
  (void)cloud_disk_.scan(cloud::kMetaSpace, first, cloud::after_prefix(first), [&](ByteView key, ByteView) {
    out.insert({Kind::agent_event, take<sizeof(Hash)>(key.substr(key.size() - sizeof(Hash)))});
    return true;
  });
  return out;
}

bool World::in_lawful_gap(const Site& site, const NaturalKey& key) const { return site.shed.contains(key) || site.damaged.contains(key); }

// Both copies were destroyed by force: outside the promise.
void World::excuse_destroyed() {
  for (auto& site : sites_) {
    std::set<NaturalKey> edge = held(*site), region = applied(site->fac);
    for (const NaturalKey& key : site->accepted) {
      // A restore alone destroys nothing: what it lost must still be at the edge.
      bool both = met_.rollbacks > 0;
      if (both && !edge.contains(key) && !region.contains(key) && !in_lawful_gap(*site, key)) site->excused.insert(key);
    }
  }
}

// I9: accepted => on edge, or in cloud, or in a durable gap with a lawful reason. I11: nothing else is in the cloud.
std::string World::conserved() {
  for (auto& site : sites_) {
    std::set<NaturalKey> edge = held(*site), region = applied(site->fac);
    for (const NaturalKey& key : site->accepted) {
      if (!edge.contains(key) && !region.contains(key) && !in_lawful_gap(*site, key) && !site->excused.contains(key)) return "I9 conservation: a record that was accepted at " + site->fac + " is nowhere";
    }
    for (const NaturalKey& key : region) {
      if (!site->accepted.contains(key)) return "I11: a record is stored that was never accepted at " + site->fac;
    }
  }
  return "";
}

// I6: within a gen W never falls.
std::string World::watermarks() {
  for (auto& site : sites_) {
    auto rows = store_->begin()->rows(site->fac).value();
    for (auto& [key, row] : rows) {
      Seq& last = w_[{site->fac, key}];
      if (row.w < last) return "I6: W fell within a gen";
      last = row.w;
    }
  }
  return "";
}

std::string World::end_state() {
  for (auto& site : sites_) {
    std::set<NaturalKey> region = applied(site->fac);
    for (const NaturalKey& key : site->accepted) {
      if (!region.contains(key) && !in_lawful_gap(*site, key) && !site->excused.contains(key)) return "I16 liveness: faults stopped, and a record of " + site->fac + " has not arrived";
    }
    auto incidents = store_->begin()->incidents(site->fac, true).value();
    met_.incidents += incidents.size();
    auto rows = store_->begin()->rows(site->fac).value();
    for (auto& [key, row] : rows) {
      bool said = std::any_of(incidents.begin(), incidents.end(), [&, k = key](const cloud::Incident& i) { return i.key == k; });
      if (row.w < row.claimed && !said && !row.moved && !row.finished) return "I13: more was claimed than came, and no incident is open: " + site->fac + " epoch " + std::to_string(key.epoch.value) + " " + name_of(key.stream) + ", W " + std::to_string(row.w.value) + ", claimed " + std::to_string(row.claimed.value) + (row.final ? ", final" : "");
    }
  }
  cloud::Verdict verdict = cloud::verify(cloud_disk_, nullptr).value();
  if (verdict.wrong > 0) return "I5: the store does not verify: " + cloud::text_of(verdict.findings.front());
  return "";
}

std::string World::run() {
  for (auto& site : sites_) {
    for (int64_t at = 0; at < kFaultyMs; at += kProduceEveryMs) later(at + static_cast<int64_t>(entropy_.below(kProduceEveryMs)), [this, s = site.get()] { produce(*s); });
  }
  for (int64_t at = kFaultEveryMs; at < kFaultyMs; at += kFaultEveryMs) {
    later(at, [this] {
      fault();
      if (violation_.empty()) violation_ = conserved();
      if (violation_.empty()) violation_ = watermarks();
    });
  }
  advance(now_.mono.ms + kFaultyMs);
  healing_ = true;
  int64_t end = now_.mono.ms + kHealingMs;
  while (now_.mono.ms < end && violation_.empty() && !end_state().empty()) advance(now_.mono.ms + 60'000);
  if (violation_.empty()) violation_ = conserved();
  if (violation_.empty()) violation_ = end_state();
  note(met_.records);
  return violation_;
}

}  // namespace egret::sim
