// What tells two parties or messages apart.
#include "cloud/tables.h"
#include "edge/session_impl.h"
#include "schemas/chain.h"
#include "schemas/es1.pb.h"
#include "tests/sim/scope/party.h"

namespace egret::scope {
namespace {

// The session's inside, which no other test may look at: an explicit instantiation may name what is
// private.
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
  explicit Print(MonoTime now = {}) : now_(now) {}
  void number(uint64_t n) { put_u64(out, n); }
  void bytes(ByteView b) {
    number(b.size());
    out += b;
  }
  void time(MonoTime t) {
    number(static_cast<uint64_t>(std::clamp<int64_t>((t - now_) / 5'000, -100, 1'000) + 100));
  }
  void time(const std::optional<MonoTime>& t) {
    number(t.has_value());
    if (t) time(*t);
  }
  Bytes digest() const { return Bytes(view(sha256(out)).substr(0, 16)); }
  Bytes out;

 private:
  MonoTime now_;
};

void print(Print& p, ByteView key, ByteView value) {
  p.bytes(key);
  p.bytes(value);
}

// Without what is only counted, for people.
void print(Print& p, const KvMemory::State& disk,
           bool (*counts)(Print&, Space, ByteView, ByteView)) {
  for (Space space = 0; space < disk.tables.size(); space++) {
    p.number(disk.tables[space].size());
    for (const auto& [key, value] : disk.tables[space]) {
      if (!counts(p, space, key, *value)) print(p, key, *value);
    }
  }
  for (const auto& [space, key] : disk.unreadable) p.bytes(key);
}

bool counted_by_site(Print& p, Space space, ByteView key, ByteView value) {
  if (space != edge::kMetaSpace || key != "m") return false;
  edge::StoreRow row = edge::decode_store(value).value();
  row.counters = {};
  print(p, key, edge::encode(row));
  return true;
}

// The order of commits too: only the views read it.
bool counted_by_region(Print& p, Space space, ByteView key, ByteView value) {
  if (space == cloud::kFeedSpace) return true;
  if (space != cloud::kMetaSpace || key[0] != 'f') return false;
  cloud::FacilityRow row = cloud::decode_facility(value).value();
  row.records = row.duplicates = row.quarantined = row.gap_records = 0;
  row.vitals = {};
  print(p, key, cloud::encode(row));
  return true;
}

void print(Print& p, const std::optional<edge::Flight>& flight) {
  p.number(flight.has_value());
  if (!flight) return;
  p.number(flight->first.value);
  p.number(flight->last.value);
  p.bytes(view(flight->nonce));
  p.number(static_cast<uint64_t>(std::min(flight->tries, 3)));
  p.number(static_cast<uint64_t>(flight->token != 0) +
           static_cast<uint64_t>(flight->on_broker.has_value()));
  p.time(flight->retry_at);
}

void print(Print& p, const edge::Session& session) {
  const auto& s = inside(SessionInside{}, session);
  for (uint64_t n :
       {static_cast<uint64_t>(s.state), s.hello_no, s.ticket, static_cast<uint64_t>(s.hello_wanted),
        static_cast<uint64_t>(s.hello_urgent), static_cast<uint64_t>(s.credit), s.cloud_finished,
        static_cast<uint64_t>(s.cloud_finished_known)}) {
    p.number(n);
  }
  p.bytes(view(s.channel->sid()));
  p.bytes(s.cloud_finished_hash);
  p.number(s.greeting.has_value());
  if (s.greeting) {
    p.bytes(s.greeting->hello_nonce);
    p.bytes(view(s.greeting->frame_nonce));
    p.time(s.greeting->repeat_at);
  }
  for (EpochId epoch : s.greeted_epochs) p.number(epoch.value);
  for (MonoTime t : {s.wake, s.hello_last, s.need_hello_last, s.lease_ends, s.lease_half,
                     s.pause_until, s.last_traffic, s.ticket_at}) {
    p.time(t);
  }
  for (const auto& [key, row] : s.rows) {
    for (uint64_t n : {key.epoch.value, static_cast<uint64_t>(key.stream), row.cursor.value,
                       row.confirmed.value, row.safe.value, row.cursor_at_hello.value,
                       static_cast<uint64_t>(row.granted), static_cast<uint64_t>(row.doubted),
                       static_cast<uint64_t>(row.moving), static_cast<uint64_t>(row.stalled),
                       static_cast<uint64_t>(row.in_step), static_cast<uint64_t>(row.rung)}) {
      p.number(n);
    }
    print(p, row.flight);
    print(p, row.ahead);
  }
}

// What the credit that was given depends on.
void print_credit(Print& p, ByteView frame) {
  es1::Hello hello;
  if (frame.empty()) return p.number(0);
  const auto parsed = parse_frame(frame);
  hello.ParseFromString(Bytes(parsed->sealed.substr(0, parsed->sealed.size() - kTagBytes)));
  p.bytes(view(parsed->prefix.sid));
  p.number(hello.hello_no());
  p.number(static_cast<uint64_t>(hello.waiting_records() > 0));
}

}  // namespace

bool listens(const Machine& machine, const Message& down) {
  const auto& s = inside(SessionInside{}, *machine.session);
  if (s.channel->sid() != down.sid) return false;
  return down.type != FrameType::welcome ||
         (s.greeting && s.greeting->hello_nonce == down.hello_nonce);
}

uint64_t greetings_of(const Machine& machine) {
  return inside(SessionInside{}, *machine.session).hello_no;
}

Bytes print_of(const Machine& machine) {
  Print p(machine.now);
  print(p, machine.disk, counted_by_site);
  p.number(machine.memory.current);
  p.number(static_cast<uint64_t>(machine.runs));
  p.number(static_cast<uint64_t>(machine.moves));
  print(p, *machine.session);
  return p.digest();
}

Bytes print_of(const Region& region) {
  Print p;
  print(p, region.disk, counted_by_region);
  print_credit(p, region.last_hello);
  p.number(static_cast<uint64_t>(region.restores));
  return p.digest();
}

// A HELLO without what only tells the time: but whoever is asked for another HELLO knows his own by
// its nonce. What a nonce of the region's is, nobody asks.
Bytes print_of(const Message& message) {
  Print p;
  const auto parsed = parse_frame(message.frame);
  p.number(static_cast<uint64_t>(message.type));
  p.bytes(view(message.sid));
  if (message.up || message.type == FrameType::need_hello) p.bytes(view(parsed->prefix.nonce));
  p.bytes(
      parsed->sealed.substr(0, parsed->sealed.size() - std::min(parsed->sealed.size(), kTagBytes)));
  return p.digest();
}

}  // namespace egret::scope
