// Site: an agent without its doors, on real files: opened, reopened, set aside and rescued as the
// daemon does it, with the real session, against a real reconciler over memory; one thread, time by
// hand. Promises: what it does with its folder is what `egret-agent run` does, in the same order;
// nothing sleeps. Leaves to others: the files' damage, what is right (edge_damage_test), doors and
// MQTT (tests/e2e).
#pragma once

#include <deque>

#include "agent/rescue.h"
#include "agent/store.h"
#include "edge/session.h"
#include "edge/witness.h"
#include "tests/storage/region.h"

namespace egret::test {

class Site {
 public:
  // `run`: names its sessions; another number each time the agent is started.
  Site(std::filesystem::path state_dir, Region& region, uint8_t run);
  ~Site();

  // Up to READY. False: the agent refuses to start, and says why().
  bool start();
  const std::string& why() const { return why_; }
  // As a producer's request: false is a refusal, to be sent again.
  bool accept(StreamId lane, const Bytes& record);
  // The next `ms` milliseconds: sessions, ticks, rescue.
  void live(int64_t ms);
  // Nothing waits any more: all is acknowledged, no store waits to be brought back.
  bool settled() const;
  std::string waits_for() const;  // when it is not, for a person

  edge::Buffer& buffer() { return *store_.buffer; }
  bool link_up = true;     // false: no broker
  bool lanes_open = true;  // false: the region answers greetings alone
  const std::vector<std::string>& notices() const { return notices_; }
  int reopens() const { return reopens_; }
  bool tail_lost() const { return tail_lost_; }
  const edge::Places& places() const { return places_; }  // of the last accept()

 private:
  bool open();
  void close();
  void reopen();
  void begin_session();
  void check_witness();
  void write_witness();
  void tick();
  void drive(const edge::Event& event);
  void carry_out(edge::Action& action);
  void publish(edge::Publish& publish);
  void change(const agent::Writer::Job& job);
  void tell_view();
  void post(std::function<void()> job);
  Now now() const { return {now_, {1'700'000'000'000'000 + now_.ms * 1000}}; }

  agent::Config config_;
  Region& region_;
  uint8_t run_;
  SeededEntropy entropy_;
  MonoTime now_{1'000'000};
  MonoTime next_tick_{}, reopen_at_{}, rescue_from_{};
  agent::OpenStore store_;
  std::unique_ptr<edge::Session> session_;
  std::shared_ptr<agent::Rescue> rescue_;
  std::optional<edge::Witness> witness_;
  edge::View view_;
  edge::Memory memory_;
  uint64_t life_ = 0;  // of the session: what was posted for an older one is void
  std::deque<std::function<void()>> posted_;
  edge::Places places_;
  std::vector<std::string> notices_;
  std::string why_;
  agent::Distrust distrust_;
  int reopens_ = 0;
  bool tail_lost_ = false;
};

}  // namespace egret::test
