// What tells two states apart.
#include "edge/session_impl.h"
#include "schemas/chain.h"
#include "tests/sim/scope/state.h"

namespace egret::scope {
namespace {

// The session's inside, which no other test may look at: an explicit instantiation may name what is private.
struct SessionInside {
  friend auto& inside(SessionInside, const edge::Session& session);
};
template <auto Member>
struct Opener {
  friend auto& inside(SessionInside, const edge::Session& session) { return *(session.*Member); }
};
template struct Opener<&edge::Session::impl_>;

class Print {
 public:
  explicit Print(MonoTime now) : now_(now) {}
  void number(uint64_t n) { put_u64(out, n); }
  void bytes(ByteView b) {
    number(b.size());
    out += b;
  }
  void time(MonoTime t) { number(static_cast<uint64_t>(std::clamp<int64_t>((t - now_) / 5'000, -100, 1'000) + 100)); }
  void time(const std::optional<MonoTime>& t) {
    number(t.has_value());
    if (t) time(*t);
  }
  Bytes out;

 private:
  MonoTime now_;
};

void print(Print& p, const KvMemory::State& disk) {
  for (const KvMemory::Table& table : disk.tables) {
    p.number(table.size());
    for (const auto& [key, value] : table) {
      p.bytes(key);
      p.bytes(*value);
    }
  }
  for (const auto& [space, key] : disk.unreadable) p.bytes(key);
}

void print(Print& p, const std::optional<edge::Flight>& flight) {
  p.number(flight.has_value());
  if (!flight) return;
  p.number(flight->first.value);
  p.number(flight->last.value);
  p.bytes(view(flight->nonce));
  p.number(static_cast<uint64_t>(std::min(flight->tries, 3)));
  p.number(static_cast<uint64_t>(flight->token != 0) + static_cast<uint64_t>(flight->on_broker.has_value()));
  p.time(flight->retry_at);
}

void print(Print& p, const edge::Session& session) {
  const auto& s = inside(SessionInside{}, session);
  for (uint64_t n : {static_cast<uint64_t>(s.state), s.hello_no, s.ticket, static_cast<uint64_t>(s.hello_wanted),
                     static_cast<uint64_t>(s.hello_urgent), static_cast<uint64_t>(s.credit), s.cloud_finished,
                     static_cast<uint64_t>(s.cloud_finished_known)}) {
    p.number(n);
  }
  p.bytes(view(s.channel->sid()));
  p.bytes(s.cloud_finished_hash);
  p.number(s.greeting.has_value());
  if (s.greeting) {
    p.bytes(s.greeting->hello_nonce);
    p.time(s.greeting->repeat_at);
  }
  for (EpochId epoch : s.greeted_epochs) p.number(epoch.value);
  for (MonoTime t : {s.wake, s.hello_last, s.need_hello_last, s.lease_ends, s.lease_half, s.pause_until, s.last_traffic, s.ticket_at}) {
    p.time(t);
  }
  for (const auto& [key, row] : s.rows) {
    for (uint64_t n : {key.epoch.value, static_cast<uint64_t>(key.stream), row.cursor.value, row.confirmed.value, row.safe.value,
                       row.cursor_at_hello.value, static_cast<uint64_t>(row.granted), static_cast<uint64_t>(row.doubted),
                       static_cast<uint64_t>(row.moving), static_cast<uint64_t>(row.stalled), static_cast<uint64_t>(row.in_step),
                       static_cast<uint64_t>(row.rung)}) {
      p.number(n);
    }
    print(p, row.flight);
    print(p, row.ahead);
  }
}

void print(Print& p, const Machine& machine) {
  print(p, machine.disk);
  p.number(machine.memory.current);
  print(p, *machine.session);
}

void print(Print& p, const Ids& ids) {
  p.number(ids.size());
  for (int id : ids) p.number(static_cast<uint64_t>(id));
}

}  // namespace

bool awaits(const edge::Session& session, ByteView hello_nonce) {
  const auto& s = inside(SessionInside{}, session);
  return s.greeting && s.greeting->hello_nonce == hello_nonce;
}

bool speaks_as(const edge::Session& session, const SessionId& sid) {
  return inside(SessionInside{}, session).channel->sid() == sid;
}

Bytes fingerprint(const State& state, const Limits& limits) {
  Print p(state.now);
  for (const Machine& machine : state.machines) print(p, machine);
  print(p, state.region);
  std::set<std::pair<Bytes, int>> net;
  for (const Carried& carried : state.net) net.insert({carried.message->content, carried.times});
  for (const auto& [content, times] : net) {
    p.bytes(content);
    p.number(static_cast<uint64_t>(times));
  }
  p.number(state.image.has_value());
  if (state.image) print(p, *state.image);
  p.number(state.backup.has_value());
  if (state.backup) print(p, *state.backup);
  // Which faults there were tells nothing once there can be none.
  const bool over = state.faults >= limits.faults;
  p.number(static_cast<uint64_t>(over));
  for (size_t s = 0; s < kSteps; s++) {
    const bool spent = over && (is_fault(static_cast<Step>(s)) || static_cast<Step>(s) == Step::image);
    p.number(spent ? 0 : static_cast<uint64_t>(state.done[s]));
  }
  for (const Ids* ids : {&state.accepted, &state.shed, &state.excused}) print(p, *ids);
  return Bytes(view(sha256(p.out)).substr(0, 16));
}

}  // namespace egret::scope
