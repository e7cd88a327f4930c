#include "tests/sim/scope/party.h"

#include <deque>

#include "cloud/committer.h"
#include "cloud/verify.h"
#include "schemas/chain.h"
#include "schemas/record.pb.h"
#include "tests/sim/seeded_entropy.h"
#include "tests/unit/support/clear_channel.h"

namespace egret::scope {

using namespace egret::edge;

namespace {

const Facility kFac = "site";
constexpr WallTime kWall{
    1'700'000'000'000'000};  // it stands still: nothing that is tried here reads it
constexpr MonoTime kRegionNow{1'000'000};
constexpr int kCloneRuns = 100;  // a clone's keys are no one else's

class Keys final : public cloud::KeyRing {
 public:
  Result<std::shared_ptr<Channel>> join(const Facility&, const KeyId&, ByteView enc) override {
    return std::shared_ptr<Channel>(std::make_shared<ClearChannel>(static_cast<uint8_t>(enc[0])));
  }
  bool signed_by(const SitePublicKey&, const Facility&, const ParsedFrame&) override {
    return true;
  }
  std::optional<RegionPublicKey> next() const override { return std::nullopt; }
};

struct Made {
  Bytes record;
  Hash leaf{};
  Hash content{};
};

Made make_record(int id) {
  v1::Body body;
  body.set_sens(1);
  body.add_purpose(v1::PURPOSE_QUALITY);
  v1::AgentEvent& event = *body.mutable_agent_event();
  event.set_boot_id(Bytes(16, 'b'));
  event.set_counter(static_cast<uint64_t>(id) + 1);
  event.set_name("scope.event");
  event.set_severity(v1::AgentEvent::SEVERITY_INFO);
  event.mutable_t()->set_us(kWall.us);
  v1::Arrival arrival;
  arrival.set_wall_us(kWall.us);
  const Bytes bytes = make_body(body, kFac).value().bytes;
  Made made;
  made.record = join_record(bytes, encode_arrival(arrival).value()).value();
  made.leaf = leaf_of(made.record);
  made.content = check_body(bytes, kFac)->key.content;
  return made;
}

const std::vector<Made>& records() {
  static const std::vector<Made> made = [] {
    std::vector<Made> out;
    for (int id = 0; id < kRecordsMax; id++) out.push_back(make_record(id));
    return out;
  }();
  return made;
}

template <class Is>
Records those(const Is& is) {
  Records out = 0;
  for (size_t id = 0; id < records().size(); id++) {
    if (is(records()[id])) out = static_cast<Records>(out | 1u << id);
  }
  return out;
}

Message message_of(bool up, bool control, Bytes frame) {
  Message message{up, control, std::move(frame), {}, {}, {}};
  const auto parsed = parse_frame(message.frame);
  message.type = parsed->prefix.type;
  message.sid = parsed->prefix.sid;
  if (message.type == FrameType::welcome) {
    es1::Welcome welcome;
    welcome.ParseFromString(Bytes(parsed->sealed.substr(0, parsed->sealed.size() - kTagBytes)));
    message.hello_nonce = welcome.hello_nonce();
  }
  return message;
}

// ---- a site: the session and what its daemon does ----

// What every session refers to, whichever copy of it lives: it is set anew for each step.
thread_local SeededEntropy chance(0);
thread_local int runs_so_far = 0;

uint64_t seed_of(uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
  return a << 48 ^ b << 32 ^ c << 16 ^ d;
}

// A machine, alive for a step.
class Alive {
 public:
  explicit Alive(Machine machine) : machine_(std::move(machine)), disk_(kEdgeSpaces) {
    const uint64_t greetings = machine_.session ? greetings_of(machine_) : 0;
    chance = SeededEntropy(seed_of(static_cast<uint64_t>(machine_.moves),
                                   static_cast<uint64_t>(machine_.runs), greetings,
                                   machine_.memory.store.next_epoch));
    runs_so_far = machine_.runs;
    disk_.rollback(std::move(machine_.disk));
  }
  void wake() {
    buffer = std::make_unique<Buffer>(disk_, chance, machine_.memory);
    session = std::make_unique<Session>(*machine_.session, *buffer);
  }
  void boot() {
    auto opened = Buffer::open(disk_, kFac, chance);
    EGRET_INVARIANT(opened.has_value(), "a store whose writes were all synced opens");
    buffer = std::move(*opened);
    SessionConfig config;
    config.facility = kFac;
    config.zstd_level = 0;
    auto new_run = [] {
      return std::make_unique<ClearChannel>(static_cast<uint8_t>(++runs_so_far));
    };
    session = std::make_unique<Session>(config, *buffer, new_run, chance, edge::Memory{},
                                        buffer->view(), now());
    fire();
  }
  void fire() {
    machine_.now = std::max(machine_.now, session->next_deadline());
    drive(TimerFired{});
  }
  void later(int64_t ms) { machine_.now = machine_.now + ms; }
  void drive(Event first) {
    std::deque<Event> events{std::move(first)};
    while (!events.empty()) {
      const Event event = std::move(events.front());
      events.pop_front();
      for (const Action& action : session->step(event, now())) act(action, events);
    }
  }
  MachineStep done() {
    machine_.memory = buffer->memory();
    machine_.disk = disk_.snapshot();
    machine_.session = std::make_shared<Session>(*session, *buffer);
    machine_.runs = runs_so_far;
    return {std::move(machine_), std::move(said_)};
  }

  std::unique_ptr<Buffer> buffer;
  std::unique_ptr<Session> session;

 private:
  Now now() const { return {machine_.now, kWall}; }
  void act(const Action& action, std::deque<Event>& events) {
    if (std::get_if<Connect>(&action) != nullptr) {
      events.push_back(Connected{0, "broker"});
    } else if (const auto* p = std::get_if<Publish>(&action)) {
      events.push_back(Published{p->token});
      said_.push_back(message_of(true, p->topic == TopicKind::up_control, p->frame));
    } else if (write(action)) {
      events.push_back(ViewChanged{buffer->view()});
    }
  }
  bool write(const Action& action) {
    if (const auto* purge = std::get_if<Purge>(&action)) {
      (void)buffer->purge(purge->upto);
    } else if (const auto* rehome = std::get_if<Rehome>(&action)) {
      (void)buffer->rehome(rehome->key);
    } else if (const auto* blocks = std::get_if<RehomeBlocks>(&action)) {
      (void)buffer->rehome_blocks(blocks->key, blocks->first, blocks->last);
    } else if (const auto* corrupt = std::get_if<MarkCorrupt>(&action)) {
      (void)buffer->mark_corrupt(corrupt->key, corrupt->first);
    } else {
      return false;
    }
    return true;
  }

  Machine machine_;
  KvMemory disk_;
  std::vector<Message> said_;
};

template <class Act>
MachineStep awake(Machine machine, const Act& act) {
  Alive alive(std::move(machine));
  alive.wake();
  act(alive);
  return alive.done();
}

// ---- the region ----

class AliveRegion {
 public:
  explicit AliveRegion(Region region)
      : entropy(static_cast<uint64_t>(region.restores)),
        disk(cloud::kCloudSpaces),
        region_(std::move(region)) {
    disk.rollback(std::move(region_.disk));
    store = std::move(cloud::open_store(disk, entropy)).value();
    cloud::ReconcilerConfig config;
    config.safe = cloud::SafePolicy::backup;
    reconciler = std::make_unique<cloud::Reconciler>(config, keys_, entropy);
  }
  RegionStep take(const Message& message) {
    remember_credit();
    if (message.type == FrameType::hello) region_.last_hello = message.frame;
    const TopicKind topic = message.control ? TopicKind::up_control : TopicKind::up_bulk;
    const std::vector<cloud::Inbound> group{{kFac, topic, message.frame}};
    std::vector<Message> said;
    for (const cloud::Reply& reply :
         cloud::Committer(*store, *reconciler).run(group, {kRegionNow, kWall}).replies) {
      said.push_back(message_of(false, true, reply.frame));
    }
    return {done(), std::move(said)};
  }
  Region done() {
    region_.disk = disk.snapshot();
    return std::move(region_);
  }

  SeededEntropy entropy;
  KvMemory disk;
  std::unique_ptr<cloud::KvStore> store;
  std::unique_ptr<cloud::Reconciler> reconciler;

 private:
  // A reconciler that lives on still knows what credit it gave.
  void remember_credit() {
    if (region_.last_hello.empty()) return;
    const SeededEntropy before = entropy;
    (void)reconciler->apply({kFac, TopicKind::up_control, region_.last_hello}, *store->begin(),
                            *store->meta(), {kRegionNow, kWall});
    entropy = before;
  }

  Keys keys_;
  Region region_;
};

}  // namespace

MachineStep first_machine() {
  Machine machine;
  machine.disk = KvMemory(kEdgeSpaces).snapshot();
  return started_again(std::move(machine));
}

MachineStep started_again(Machine machine) {
  Alive alive(std::move(machine));
  alive.boot();
  return alive.done();
}

MachineStep hears(Machine machine, const Message& message) {
  return awake(std::move(machine), [&](Alive& alive) { alive.drive(FrameArrived{message.frame}); });
}

MachineStep deadline_comes(Machine machine) {
  return awake(std::move(machine), [](Alive& alive) { alive.fire(); });
}

MachineStep greets(Machine machine) {
  return awake(std::move(machine), [](Alive& alive) {
    alive.later(5'000);
    alive.drive(DiskPressed{});
  });
}

MachineStep takes_in(Machine machine, int record, StreamId lane) {
  return awake(std::move(machine), [&](Alive& alive) {
    Unit unit;
    unit.records.push_back({lane, records()[static_cast<size_t>(record)].record});
    EGRET_INVARIANT(alive.buffer->append(std::span(&unit, 1), kWall).has_value(),
                    "a disk without faults takes a record");
    alive.drive(ViewChanged{alive.buffer->view()});
  });
}

MachineStep sheds(Machine machine) {
  return awake(std::move(machine), [](Alive& alive) {
    (void)alive.buffer->shed_oldest(
        [&](EpochId e) { return alive.session->confirmed({e, StreamId::telemetry}); });
    alive.drive(ViewChanged{alive.buffer->view()});
  });
}

MachineStep purges_for_room(Machine machine) {
  return awake(std::move(machine), [](Alive& alive) {
    std::vector<PurgeTo> upto;
    for (const EpochView& epoch : alive.buffer->view().epochs) {
      for (size_t i = 0; i < kStreamCount; i++) {
        const StreamKey key{epoch.id, StreamId(i)};
        const StreamView& s = epoch.streams[i];
        const Seq confirmed = alive.session->confirmed(key);
        const bool may = !s.moved && !s.moving && confirmed > s.purged && confirmed <= s.head;
        if (may && alive.buffer->c_at(key, confirmed))
          upto.push_back({key, confirmed, alive.session->safe(key)});
      }
    }
    (void)alive.buffer->purge(upto);
    alive.drive(ViewChanged{alive.buffer->view()});
  });
}

MachineStep spoiled(Machine machine) {
  KvMemory disk(kEdgeSpaces);
  disk.rollback(std::move(machine.disk));
  for (size_t i = 0; i < kStreamCount; i++) {
    const auto& table = disk.table(block_space(StreamId(i)));
    if (table.empty()) continue;
    disk.flip_bit(block_space(StreamId(i)), Bytes(table.begin()->first), 90);
    break;
  }
  machine.disk = disk.snapshot();
  return {std::move(machine), {}};
}

Machine put_back(const Machine& machine, const Machine& image) {
  Machine back = image;
  back.now = std::max(machine.now, image.now);
  back.runs = machine.runs;
  back.moves = machine.moves + 1;
  return back;
}

Machine made_clone(const Machine& image) {
  Machine clone = image;
  clone.runs = image.runs + kCloneRuns;
  clone.moves = image.moves + kCloneRuns;
  return clone;
}

Records held_by(const Machine& machine) {
  Records held = 0;
  KvMemory disk(kEdgeSpaces);
  disk.rollback(machine.disk);
  const Buffer buffer(disk, chance, machine.memory);
  for (const auto& [no, epoch] : machine.memory.epochs) {
    for (size_t i = 0; i < kStreamCount; i++) {
      const StreamRow& s = epoch.streams[i];
      if (s.empty() || s.moved) continue;
      for (const Item& item : buffer.read({epoch.id, StreamId(i)}, s.moving ? s.moved_to : s.purged,
                                          {1 << 20, 1000, 1000})) {
        const Bytes raw = item.raw;
        bool ok = false;
        for (ByteView record : split_records(raw, ok))
          held |= those([&](const Made& made) { return made.record == record; });
      }
    }
  }
  for (const auto& [key, value] : disk.table(kParkedSpace)) {
    const auto parked = decode_parked(key, *value);
    const auto open = parked ? open_block(parked->block, parked->count)
                             : Result<OpenBlock>(Error{Errc::corrupt, "parked"});
    if (open)
      held |=
          those([&](const Made& made) { return std::ranges::count(open->leaves, made.leaf) > 0; });
  }
  return held;
}

Region first_region() {
  Region region;
  region.disk = KvMemory(cloud::kCloudSpaces).snapshot();
  AliveRegion alive(std::move(region));
  auto txn = alive.store->begin();
  txn->put(kFac, cloud::Registration{{SitePublicKey{}}, false, false});
  alive.store->commit(std::move(txn));
  return alive.done();
}

RegionStep takes(Region region, const Message& message) {
  return AliveRegion(std::move(region)).take(message);
}

Region backs_up(Region region) {
  AliveRegion alive(std::move(region));
  std::vector<cloud::KvStore::BackedUp> rows;
  const auto all = alive.store->begin()->rows(kFac);
  for (const auto& [key, row] : *all) rows.push_back({kFac, key, row.w, row.c});
  (void)alive.store->confirm_backup(rows, kWall);
  return alive.done();
}

// The reconciler that lives on still knows whom it greeted.
Region restored(const Region& region, const Region& backup) {
  Region back = backup;
  back.last_hello = region.last_hello;
  back.restores = region.restores + 1;
  AliveRegion alive(std::move(back));
  (void)alive.store->mark_restored(alive.entropy, kWall, "scope");
  return alive.done();
}

Records stored_in(const Region& region) {
  Records stored = 0;
  for (const auto& [key, value] : region.disk.tables[cloud::kNaturalSpace]) {
    const auto name = cloud::natural_of(key);
    if (name) stored |= those([&](const Made& made) { return made.content == name->key.content; });
  }
  return stored;
}

std::string is_sound(const Region& region) {
  KvMemory disk(cloud::kCloudSpaces);
  disk.rollback(region.disk);
  const auto verdict = cloud::verify(disk, nullptr);
  if (!verdict) return "I5: the store cannot be verified: " + verdict.error().text;
  return verdict->wrong > 0 ? "I5: " + cloud::text_of(verdict->findings.front()) : std::string();
}

}  // namespace egret::scope
