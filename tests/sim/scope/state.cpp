#include "tests/sim/scope/state.h"

#include <spdlog/fmt/fmt.h>

#include <deque>

#include "cloud/committer.h"
#include "cloud/verify.h"
#include "schemas/chain.h"
#include "schemas/es1.pb.h"
#include "schemas/record.pb.h"
#include "tests/unit/support/clear_channel.h"

namespace egret::scope {
namespace {

using namespace egret::edge;

const Facility kFac = "site";
constexpr WallTime kWall{1'700'000'000'000'000};  // it stands still: nothing that is tried here reads it
constexpr MonoTime kRegionNow{1'000'000};
constexpr int kConvergeSteps = 400;

class Keys final : public cloud::KeyRing {
 public:
  Result<std::shared_ptr<Channel>> join(const Facility&, const KeyId&, ByteView enc) override {
    return std::shared_ptr<Channel>(std::make_shared<ClearChannel>(static_cast<uint8_t>(enc[0])));
  }
  bool signed_by(const SitePublicKey&, const Facility&, const ParsedFrame&) override { return true; }
  std::optional<RegionPublicKey> next() const override { return std::nullopt; }
};

struct Made {
  Bytes record;
  Hash leaf{};
  Hash content{};
};

const Made& record_of(int id) {
  static std::vector<Made> known;
  while (known.size() <= static_cast<size_t>(id)) {
    v1::Body body;
    body.set_sens(1);
    body.add_purpose(v1::PURPOSE_QUALITY);
    v1::AgentEvent& event = *body.mutable_agent_event();
    event.set_boot_id(Bytes(16, 'b'));
    event.set_counter(known.size() + 1);
    event.set_name("scope.event");
    event.set_severity(v1::AgentEvent::SEVERITY_INFO);
    event.mutable_t()->set_us(kWall.us);
    v1::Arrival arrival;
    arrival.set_wall_us(kWall.us);
    Made made;
    const Bytes bytes = make_body(body, kFac).value().bytes;
    made.record = join_record(bytes, encode_arrival(arrival).value()).value();
    made.leaf = leaf_of(made.record);
    made.content = check_body(bytes, kFac)->key.content;
    known.push_back(std::move(made));
  }
  return known[static_cast<size_t>(id)];
}

// ---- what each side holds ----

void add_block(Ids& ids, Result<OpenBlock> open) {
  if (!open) return;
  for (const Hash& leaf : open->leaves) {
    for (int id = 0; id < 8; id++) {
      if (record_of(id).leaf == leaf) ids.insert(id);
    }
  }
}

Ids held_by(const Machine& machine) {
  Ids ids;
  KvMemory disk(kEdgeSpaces);
  disk.rollback(machine.disk);
  CountedEntropy entropy;
  const Buffer buffer(disk, entropy, machine.memory);
  for (const auto& [no, epoch] : machine.memory.epochs) {
    for (size_t i = 0; i < kStreamCount; i++) {
      const StreamRow& s = epoch.streams[i];
      if (s.empty() || s.moved) continue;
      for (const Item& item : buffer.read({epoch.id, StreamId(i)}, s.moving ? s.moved_to : s.purged, {1 << 20, 1000, 1000})) {
        Bytes raw = item.raw;
        bool ok = false;
        for (ByteView record : split_records(raw, ok)) {
          for (int id = 0; id < 8; id++) {
            if (record_of(id).record == record) ids.insert(id);
          }
        }
      }
    }
  }
  for (const auto& [key, value] : disk.table(kParkedSpace)) {
    if (const auto parked = decode_parked(key, *value)) add_block(ids, open_block(parked->block, parked->count));
  }
  return ids;
}

Ids stored_in(const KvMemory::State& region) {
  Ids ids;
  for (const auto& [key, value] : region.tables[cloud::kNaturalSpace]) {
    const auto name = cloud::natural_of(key);
    for (int id = 0; name && id < 8; id++) {
      if (record_of(id).content == name->key.content) ids.insert(id);
    }
  }
  return ids;
}

Ids there(const State& state) {
  Ids ids = stored_in(state.region);
  for (const Machine& machine : state.machines) ids.merge(held_by(machine));
  return ids;
}

// What outside force has destroyed the last copy of.
void excuse(State& state) {
  const Ids now = there(state);
  for (int id : state.accepted) {
    if (!now.contains(id)) state.excused.insert(id);
  }
}

std::string conserved(const State& state) {
  const Ids now = there(state);
  for (int id : state.accepted) {
    if (!now.contains(id) && !state.shed.contains(id) && !state.excused.contains(id)) {
      return fmt::format("I9: record {} was accepted and is nowhere", id + 1);
    }
  }
  return {};
}

std::string missing(const State& state) {
  const Ids now = stored_in(state.region);
  for (int id : state.accepted) {
    if (!now.contains(id) && !state.shed.contains(id) && !state.excused.contains(id)) {
      return fmt::format("I16: record {} does not arrive", id + 1);
    }
  }
  return {};
}

// ---- the network ----

Bytes content_of(const Message& message) {
  const auto parsed = parse_frame(message.frame);
  Bytes body(parsed->sealed.substr(0, parsed->sealed.size() - std::min(parsed->sealed.size(), kTagBytes)));
  if (parsed->prefix.type == FrameType::hello) {
    es1::Hello hello;
    hello.ParseFromString(body);
    for (auto clear : {&es1::Hello::clear_mono_ms, &es1::Hello::clear_link_bytes_per_s, &es1::Hello::clear_oldest_unsynced_ms}) {
      (hello.*clear)();
    }
    hello.SerializeToString(&body);
  }
  if (parsed->prefix.type == FrameType::need_hello) body = Bytes(view(parsed->prefix.nonce));
  return Bytes(1, char(parsed->prefix.type)) + Bytes(view(parsed->prefix.sid)) + body;
}

// What is said to a run that nobody is any more, and can be no more, is dropped unread; so is a WELCOME that nobody waits
// for. When the last fault has been, no image and no backup is gone back to: what they hold cannot matter.
void forget_what_is_dropped(State& state, const Limits& limits) {
  if (state.faults >= limits.faults) {
    state.image.reset();
    state.backup.reset();
  }
  auto listens = [&](const SessionId& sid) {
    const bool image = state.image && speaks_as(*state.image->session, sid);
    return image || std::ranges::any_of(state.machines, [&](const Machine& m) { return speaks_as(*m.session, sid); });
  };
  std::erase_if(state.net, [&](const Carried& carried) { return !carried.message->up && !listens(carried.message->sid); });

  auto awaited = [&](ByteView nonce) {
    const bool image = state.image && awaits(*state.image->session, nonce);
    return image || std::ranges::any_of(state.machines, [&](const Machine& m) { return awaits(*m.session, nonce); });
  };
  std::erase_if(state.net, [&](const Carried& carried) {
    es1::Welcome welcome;
    const auto parsed = parse_frame(carried.message->frame);
    if (parsed->prefix.type != FrameType::welcome) return false;
    welcome.ParseFromString(Bytes(parsed->sealed.substr(0, parsed->sealed.size() - kTagBytes)));
    return !awaited(welcome.hello_nonce());
  });
}

void send(State& state, Message message) {
  message.sid = parse_frame(message.frame)->prefix.sid;
  message.content = content_of(message);
  for (const Carried& known : state.net) {
    if (known.message->content == message.content) return;
  }
  state.net.push_back({std::make_shared<const Message>(std::move(message)), 0});
}

// ---- a site: the session and what its daemon does ----

// What every session refers to, whichever copy of it lives: it is set anew for each step.
struct Chance {
  CountedEntropy entropy;
  int runs = 0;
};
Chance chance;

// One machine of the state, alive for a step.
class Alive {
 public:
  Alive(State& state, size_t which) : state_(state), machine_(state.machines[which]), party_(which + 1), disk_(kEdgeSpaces) {
    chance.entropy.at = state.drawn[party_];
    chance.runs = state.runs[party_];
    disk_.rollback(std::move(machine_.disk));
  }
  ~Alive() {
    state_.drawn[party_] = chance.entropy.at;
    state_.runs[party_] = chance.runs;
    machine_.memory = buffer->memory();
    machine_.disk = disk_.snapshot();
    machine_.session = std::make_shared<Session>(*session, *buffer);
  }
  void wake() {
    buffer = std::make_unique<Buffer>(disk_, chance.entropy, machine_.memory);
    session = std::make_unique<Session>(*machine_.session, *buffer);
  }
  void boot() {
    auto opened = Buffer::open(disk_, kFac, chance.entropy);
    EGRET_INVARIANT(opened.has_value(), "a store whose writes were all synced opens");
    buffer = std::move(*opened);
    SessionConfig config;
    config.facility = kFac;
    config.zstd_level = 0;
    auto new_run = [] { return std::make_unique<ClearChannel>(static_cast<uint8_t>(++chance.runs)); };
    session = std::make_unique<Session>(config, *buffer, new_run, chance.entropy, edge::Memory{}, buffer->view(), now());
    state_.now = std::max(state_.now, session->next_deadline());
    drive(TimerFired{});
  }
  Now now() const { return {state_.now, kWall}; }
  void drive(Event first) {
    std::deque<Event> events{std::move(first)};
    while (!events.empty()) {
      const Event event = std::move(events.front());
      events.pop_front();
      for (const Action& action : session->step(event, now())) act(action, events);
    }
  }
  void tell_view() { drive(ViewChanged{buffer->view()}); }

  std::unique_ptr<Buffer> buffer;
  std::unique_ptr<Session> session;

 private:
  void act(const Action& action, std::deque<Event>& events) {
    bool wrote = true;
    if (const auto* a = std::get_if<Connect>(&action)) {
      events.push_back(Connected{0, "broker"});
    } else if (const auto* p = std::get_if<Publish>(&action)) {
      events.push_back(Published{p->token});
      send(state_, {true, p->topic == TopicKind::up_control, p->frame, {}, {}});
    } else if (const auto* purge = std::get_if<Purge>(&action)) {
      (void)buffer->purge(purge->upto);
    } else if (const auto* rehome = std::get_if<Rehome>(&action)) {
      (void)buffer->rehome(rehome->key);
    } else if (const auto* blocks = std::get_if<RehomeBlocks>(&action)) {
      (void)buffer->rehome_blocks(blocks->key, blocks->first, blocks->last);
    } else if (const auto* corrupt = std::get_if<MarkCorrupt>(&action)) {
      (void)buffer->mark_corrupt(corrupt->key, corrupt->first);
    } else {
      wrote = false;
    }
    const bool disk = wrote && !std::holds_alternative<Connect>(action) && !std::holds_alternative<Publish>(action);
    if (disk) events.push_back(ViewChanged{buffer->view()});
  }
  State& state_;
  Machine& machine_;
  size_t party_;
  KvMemory disk_;
};

// ---- the region ----

struct Region {
  explicit Region(State& s) : state(s), disk(cloud::kCloudSpaces) {
    entropy.at = s.drawn[0];
    disk.rollback(std::move(s.region));
    store = std::move(cloud::open_store(disk, entropy)).value();
    cloud::ReconcilerConfig config;
    config.safe = cloud::SafePolicy::backup;
    reconciler = std::make_unique<cloud::Reconciler>(config, keys, entropy);
  }
  ~Region() {
    state.drawn[0] = entropy.at;
    state.region = disk.snapshot();
  }
  // A reconciler that lives on still knows what credit it gave.
  void remember_credit() {
    if (state.last_hello.empty()) return;
    const uint64_t drawn = entropy.at;
    (void)reconciler->apply({kFac, TopicKind::up_control, state.last_hello}, *store->begin(), *store->meta(), {kRegionNow, kWall});
    entropy.at = drawn;
  }
  void take(const Message& message) {
    remember_credit();
    if (message.control && parse_frame(message.frame)->prefix.type == FrameType::hello) state.last_hello = message.frame;
    const TopicKind topic = message.control ? TopicKind::up_control : TopicKind::up_bulk;
    const std::vector<cloud::Inbound> group{{kFac, topic, message.frame}};
    for (const cloud::Reply& reply : cloud::Committer(*store, *reconciler).run(group, {kRegionNow, kWall}).replies) {
      send(state, {false, true, reply.frame, {}, {}});
    }
  }
  // Takes a backup and confirms it: from now on S covers what is in it.
  void back_up() {
    std::vector<cloud::KvStore::BackedUp> rows;
    const auto all = store->begin()->rows(kFac);
    for (const auto& [key, row] : *all) rows.push_back({kFac, key, row.w, row.c});
    state.backup = disk.snapshot();
    (void)store->confirm_backup(rows, kWall);
  }
  State& state;
  KvMemory disk;
  CountedEntropy entropy;
  Keys keys;
  std::unique_ptr<cloud::KvStore> store;
  std::unique_ptr<cloud::Reconciler> reconciler;
};

std::string region_is_sound(const State& state) {
  KvMemory disk(cloud::kCloudSpaces);
  disk.rollback(state.region);
  const auto verdict = cloud::verify(disk, nullptr);
  if (!verdict) return "I5: the store cannot be verified: " + verdict.error().text;
  return verdict->wrong > 0 ? "I5: " + cloud::text_of(verdict->findings.front()) : std::string();
}

// ---- the steps ----

void deliver(State& state, size_t which) {
  const std::shared_ptr<const Message> message = state.net[which].message;
  state.net[which].times++;
  if (message->up) return Region(state).take(*message);
  for (size_t i = 0; i < state.machines.size(); i++) {
    Alive alive(state, i);
    alive.wake();
    alive.drive(FrameArrived{message->frame});
  }
}

void append(State& state, size_t which, StreamId lane) {
  const int id = static_cast<int>(state.accepted.size());
  Alive alive(state, which);
  alive.wake();
  Unit unit;
  unit.records.push_back({lane, record_of(id).record});
  if (!alive.buffer->append(std::span(&unit, 1), kWall)) return;
  state.accepted.insert(id);
  alive.tell_view();
}

// Telemetry that is not confirmed gives way, though the region may have it: a gap names it from now on.
void shed(State& state, size_t which) {
  const Ids before = held_by(state.machines[which]);
  {
    Alive alive(state, which);
    alive.wake();
    (void)alive.buffer->shed_oldest([&](EpochId e) { return alive.session->confirmed({e, StreamId::telemetry}); });
    alive.tell_view();
  }
  const Ids after = held_by(state.machines[which]);
  for (int id : before) {
    if (!after.contains(id)) state.shed.insert(id);
  }
}

void purge_for_room(State& state, size_t which) {
  Alive alive(state, which);
  alive.wake();
  std::vector<PurgeTo> upto;
  for (const EpochView& epoch : alive.buffer->view().epochs) {
    for (size_t i = 0; i < kStreamCount; i++) {
      const StreamKey key{epoch.id, StreamId(i)};
      const StreamView& s = epoch.streams[i];
      const Seq confirmed = alive.session->confirmed(key);
      const bool may = !s.moved && !s.moving && confirmed > s.purged && confirmed <= s.head;
      if (may && alive.buffer->c_at(key, confirmed)) upto.push_back({key, confirmed, alive.session->safe(key)});
    }
  }
  (void)alive.buffer->purge(upto);
  alive.tell_view();
}

// What the region has of it, it may go back behind: then both copies are destroyed.
void spoil(State& state, size_t which) {
  const Ids before = held_by(state.machines[which]);
  {
    KvMemory disk(kEdgeSpaces);
    Machine& machine = state.machines[which];
    disk.rollback(std::move(machine.disk));
    for (size_t i = 0; i < kStreamCount; i++) {
      const auto& table = disk.table(block_space(StreamId(i)));
      if (!table.empty()) {
        disk.flip_bit(block_space(StreamId(i)), Bytes(table.begin()->first), 90);
        break;
      }
    }
    machine.disk = disk.snapshot();
  }
  const Ids after = held_by(state.machines[which]);
  for (int id : before) {
    if (!after.contains(id)) state.excused.insert(id);
  }
}

void roll_back(State& state, size_t which, bool live) {
  state.machines[which] = *state.image;
  excuse(state);
  state.went_back = true;
  if (live) return;
  Alive alive(state, which);
  alive.boot();
}

void clone(State& state, bool live) {
  state.machines.push_back(*state.image);
  state.went_back = true;
  if (live) return;
  Alive alive(state, state.machines.size() - 1);
  alive.boot();
}

void restore(State& state) {
  state.region = *state.backup;
  {
    Region region(state);
    (void)region.store->mark_restored(region.entropy, kWall, "scope");
  }
  const bool exposed = state.done[static_cast<size_t>(Step::room_purge)] > 0;
  if (state.went_back || exposed) excuse(state);
}

void carry_out_fault(State& state, const Choice& choice) {
  const size_t which = choice.which;
  state.faults++;
  switch (choice.step) {
    case Step::crash: {
      Alive alive(state, which);
      return alive.boot();
    }
    case Step::disk_rollback:
    case Step::live_rollback:
      return roll_back(state, which, choice.step == Step::live_rollback);
    case Step::disk_clone:
    case Step::live_clone:
      return clone(state, choice.step == Step::live_clone);
    case Step::restore:
      return restore(state);
    case Step::shed:
      return shed(state, which);
    case Step::room_purge:
      return purge_for_room(state, which);
    default:
      return spoil(state, which);
  }
}

void fire(State& state, size_t which) {
  Alive alive(state, which);
  alive.wake();
  state.now = std::max(state.now, alive.session->next_deadline());
  alive.drive(TimerFired{});
}

}  // namespace

const char* name_of(Step step) {
  static constexpr const char* kNames[] = {"deliver", "timer", "append", "hello", "image", "backup", "CRASH", "DISK-ROLLBACK",
                                           "LIVE-ROLLBACK", "DISK-CLONE", "LIVE-CLONE", "RESTORE", "SHED", "ROOM-PURGE", "CORRUPT"};
  static_assert(sizeof(kNames) / sizeof(kNames[0]) == kSteps);
  return kNames[static_cast<size_t>(step)];
}

State first_state(const Limits&) {
  State state;
  state.region = KvMemory(cloud::kCloudSpaces).snapshot();
  {
    Region region(state);
    auto txn = region.store->begin();
    txn->put(kFac, cloud::Registration{{SitePublicKey{}}, false, false});
    region.store->commit(std::move(txn));
  }
  state.machines.push_back({KvMemory(kEdgeSpaces).snapshot(), {}, nullptr});
  Alive alive(state, 0);
  alive.boot();
  return state;
}

std::vector<Choice> choices(const State& state, const Limits& limits) {
  std::vector<Choice> out;
  for (size_t i = state.net.size(); i > 0; i--) {
    if (state.net[i - 1].times < limits.copies) out.push_back({Step::deliver, i - 1});
  }
  for (size_t s = 1; s < kSteps; s++) {
    const Step step = static_cast<Step>(s);
    if (state.done[s] >= limits.most[s] || (is_fault(step) && state.faults >= limits.faults)) continue;
    const bool rolls = step == Step::disk_rollback || step == Step::live_rollback;
    const bool clones = step == Step::disk_clone || step == Step::live_clone;
    if ((rolls || clones) && !state.image) continue;
    if (clones && state.machines.size() > 1) continue;
    if (step == Step::restore && !state.backup) continue;
    if (step == Step::image && state.faults >= limits.faults) continue;
    const bool of_machine = step != Step::backup && step != Step::restore && step != Step::image && !clones;
    for (size_t i = 0; i < (of_machine ? state.machines.size() : 1); i++) out.push_back({step, i});
  }
  return out;
}

std::string describe(const State& state, const Choice& choice) {
  if (choice.step != Step::deliver) return fmt::format("{} {}", name_of(choice.step), choice.which);
  const Message& m = *state.net[choice.which].message;
  const auto parsed = parse_frame(m.frame);
  return fmt::format("{} of run {} #{}", egret::name_of(parsed->prefix.type), m.sid[0], choice.which);
}

std::string carry_out(State& state, const Choice& choice, const Limits& limits) {
  state.done[static_cast<size_t>(choice.step)] += choice.step != Step::deliver;
  const bool up = choice.step == Step::deliver && state.net[choice.which].message->up;
  const bool changes_region = up || choice.step == Step::backup || choice.step == Step::restore;
  switch (choice.step) {
    case Step::deliver:
      deliver(state, choice.which);
      break;
    case Step::timer:
      fire(state, choice.which);
      break;
    case Step::append:
      append(state, choice.which, limits.lane);
      break;
    case Step::hello: {
      Alive alive(state, choice.which);
      alive.wake();
      state.now = state.now + 5'000;
      alive.drive(DiskPressed{});
      break;
    }
    case Step::image:
      state.image = state.machines[0];
      break;
    case Step::backup:
      Region(state).back_up();
      break;
    default:
      carry_out_fault(state, choice);
  }
  forget_what_is_dropped(state, limits);
  const std::string lost = conserved(state);
  return lost.empty() && changes_region ? region_is_sound(state) : lost;
}

// Each message once, in its order; timers when nothing is on its way. A step may bring two more.
std::string converges(State state, const Limits& limits) {
  state.net.clear();
  for (int i = 0; i < kConvergeSteps; i++) {
    if (missing(state).empty()) return {};
    if (!state.net.empty()) {
      const auto first = state.net.front().message;
      const std::string bad = carry_out(state, {Step::deliver, 0}, limits);
      if (!bad.empty()) return bad;
      std::erase_if(state.net, [&](const Carried& carried) { return carried.message == first; });
      continue;
    }
    for (size_t m = 0; m < state.machines.size(); m++) fire(state, m);
  }
  return missing(state);
}

}  // namespace egret::scope
