// odd-site: a site that no honest agent is: it says of itself whatever it is told to, claims what it never sends, keeps gaps and sends records
// that nobody can read. The real session, buffer (over memory) and link; for the dashboard, which must show all of that as text.
//
//   odd-site key                                          the public key of the site
//   odd-site run FACILITY URL REGION_KEY PASSWORD_FILE TEXT   until it is killed; TEXT is its version, and stands in a record of it
//
// First it greets with results and sends none: they are claimed, and lost with its store (incident). Then it comes with a new store.
// A line on stdin adds a gap ("gap"), or ends it.
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <thread>

#include "agent/host.h"
#include "agent/keys.h"
#include "edge/link.h"
#include "schemas/entropy.h"
#include "schemas/record.h"
#include "schemas/record.pb.h"
#include "tests/fleet/jobs.h"
#include "tests/sim/kv_memory.h"
#include "tests/sim/seeded_entropy.h"

using namespace egret;
using namespace egret::edge;

namespace {

constexpr int64_t kPatienceMs = 60'000;

SitePrivateKey site_key() {
  SeededEntropy seeded(77);
  return make_site_key(seeded);
}

Bytes joined(ByteView body) {
  v1::Arrival arrival;
  arrival.set_wall_us(agent::now().wall.us);
  return join_record(body, encode_arrival(arrival).value()).value();
}
Bytes event(uint64_t n, const Facility& fac) {
  v1::Body body;
  body.set_sens(1);
  body.add_purpose(v1::PURPOSE_QUALITY);
  v1::AgentEvent& said = *body.mutable_agent_event();
  said.set_boot_id(Bytes(16, 'b'));
  said.set_counter(n);
  said.set_name("odd.event");
  said.set_severity(v1::AgentEvent::SEVERITY_INFO);
  said.mutable_t()->set_us(agent::now().wall.us);
  return joined(make_body(body, fac).value().bytes);
}
// Another facility's name in it, so that it is refused; and a text that nobody may run.
Bytes refused(const std::string& text) {
  v1::Body body;
  body.set_kind(v1::KIND_AGENT_EVENT);
  body.set_schema(1);
  body.set_facility_id(text);
  body.mutable_agent_event()->set_detail(text);
  return joined(body.SerializeAsString());
}

struct Wish {
  LinkConfig link;
  RegionPublicKey region;
};

class Site {
 public:
  // `sends` false: it greets, and keeps its records to itself.
  Site(const Wish& wish, bool sends, Jobs& jobs) : wish_(wish), sends_(sends), jobs_(jobs), buffer_(Buffer::open(kv_, wish.link.facility, entropy_).value()) {}
  ~Site() { link_.reset(); }

  void add(std::vector<Bytes> records) {
    Unit unit;
    for (Bytes& r : records) unit.records.push_back({StreamId::result, std::move(r)});
    (void)buffer_->append(std::span(&unit, 1), agent::now().wall).value();
  }
  void add_gap() {
    Adopted gap;
    gap.stream = StreamId::telemetry;
    gap.gap_count = 7;
    gap.gap = GapKind::shed;
    gap.reason = GapReason::disk_budget;
    gap.appended = agent::now().wall;
    (void)buffer_->adopt(std::span(&gap, 1));
    if (session_) drive(ViewChanged{buffer_->view()});
  }
  void start() {
    SessionConfig config;
    config.facility = wish_.link.facility;
    config.agent_version = wish_.link.agent_version;
    Memory memory;
    memory.herd_window_ms = 0;
    session_ = std::make_unique<Session>(config, *buffer_, [this] { return open_edge_channel(wish_.link.facility, wish_.region, site_key(), entropy_); }, entropy_, memory, buffer_->view(), agent::now());
    link_ = std::make_unique<Link>(wish_.link, jobs_.post(), [this](Event event) { drive(event); });
    wait();
  }
  bool greeted() const { return session_->status().state == State::active; }

 private:
  void wait() {
    const MonoTime at = session_->next_deadline();
    if (at.ms == INT64_MAX) return;
    jobs_.at(at.ms, [this, at] {
      if (session_->next_deadline() == at) drive(TimerFired{});
    });
  }
  void drive(const Event& event) {
    bool wrote = false;
    for (Action& action : session_->step(event, agent::now())) wrote = carry_out(std::move(action)) || wrote;
    if (wrote) return drive(ViewChanged{buffer_->view()});
    wait();
  }
  // True: the buffer has changed.
  bool carry_out(Action action) {
    if (auto* a = std::get_if<Connect>(&action)) return link_->carry_out(*a), false;
    if (auto* a = std::get_if<Disconnect>(&action)) return link_->carry_out(*a), false;
    if (auto* a = std::get_if<Publish>(&action)) {
      if (sends_ || a->topic == TopicKind::up_control) link_->carry_out(std::move(*a));
      return false;
    }
    if (auto* a = std::get_if<Purge>(&action)) return buffer_->purge(a->upto).has_value();
    if (auto* a = std::get_if<Rehome>(&action)) return buffer_->rehome(a->key).has_value();
    if (auto* a = std::get_if<RehomeBlocks>(&action)) return buffer_->rehome_blocks(a->key, a->first, a->last).has_value();
    if (auto* a = std::get_if<Park>(&action)) return buffer_->park(a->key, a->first, a->reason).has_value();
    return false;
  }

  const Wish wish_;
  const bool sends_;
  Jobs& jobs_;
  OsEntropy entropy_;
  KvMemory kv_{kEdgeSpaces};
  std::unique_ptr<Buffer> buffer_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Link> link_;
};

bool greet(Site& site, Jobs& jobs) {
  const int64_t begun = agent::now().mono.ms;
  site.start();
  while (!site.greeted() && agent::now().mono.ms - begun < kPatienceMs) jobs.run(agent::now().mono.ms + 100);
  return site.greeted();
}

[[noreturn]] void run(const Wish& wish) {
  const Facility& fac = wish.link.facility;
  {
    Jobs jobs;
    Site first(wish, false, jobs);
    first.add({event(1, fac), event(2, fac), event(3, fac)});
    if (!greet(first, jobs)) _exit(1);
  }
  Jobs jobs;
  Site site(wish, true, jobs);
  site.add({event(4, fac), refused(wish.link.agent_version)});
  if (!greet(site, jobs)) _exit(1);
  fmt::print("greeted\n");
  std::fflush(stdout);
  std::thread([post = jobs.post(), &site] {
    for (std::string line; std::getline(std::cin, line);) post([&site] { site.add_gap(); });
    _exit(0);
  }).detach();
  for (;;) jobs.run(agent::now().mono.ms + 1'000);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() == 1 && args[0] == "key") {
    fmt::print("{}\n", hex(view(site_key().public_key().point)));
    return 0;
  }
  const auto region = args.size() == 6 ? agent::key_of_hex(args[3]) : std::nullopt;
  if (!region || args[0] != "run") {
    std::fprintf(stderr, "odd-site key | run FACILITY URL REGION_KEY PASSWORD_FILE TEXT\n");
    return 2;
  }
  Wish wish;
  wish.link.facility = args[1];
  wish.link.url = args[2];
  wish.link.agent_version = args[5];
  wish.region = {*region};
  std::ifstream in(args[4]);
  std::getline(in, wish.link.password);
  run(wish);
}
