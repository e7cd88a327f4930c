// SiteBench: the real edge Session and Buffer of one site under a script: time, link, producers,
// writes, crashes, and a cloud that has the keys and says what the script likes. Promises: the
// invariants of es1 section 8 that one side alone shows (I1-I4, I8-I11, I15) are held after every
// step by the simulator's checker; nothing here is a second session. Leaves to others: which bytes
// (session_fuzz, edge_frame_fuzz).
#pragma once

#include "tests/fuzz/fuzz.h"
#include "tests/sim/checker.h"
#include "tests/sim/producer.h"
#include "tests/sim/seeded_entropy.h"

namespace egret::fuzz {

// One byte of a script each; what follows it is read by the deed.
enum class Deed : uint8_t {
  tick,
  wait,
  connected,
  connect_failed,
  disconnected,
  published,
  publish_failed,
  append,
  view,
  write,
  welcome,
  ack,
  need_hello,
  raw_body,
  repeat_down,
  pressed,
  shed,
  room_purge,
  crash,
  spoil,
  write_fails,
  clock,
  count_
};

class SiteBench {
 public:
  SiteBench();
  void perform(Deed deed, Script& script);
  // Linked, greeted, with some records on their way.
  void to_active(uint8_t records);
  // Says this body as the cloud would; nonces of the last HELLO and BATCH in the place of the
  // message's own.
  void say_body(FrameType type, Bytes body);
  void check() const;
  void do_all_writes();

 private:
  struct Sent {
    uint64_t token = 0;
    Nonce nonce{};
    es1::Batch batch;  // of a HELLO: empty
  };
  void boot();
  void reboot(bool power_cut);
  void wait(int64_t ms);
  void drive(const edge::Event& event);
  void carry_out(edge::Action action);
  void publish(const edge::Publish& publish);
  bool write_one();
  bool write(const edge::Action& action);
  void wrote(bool ok);
  void append(Script& script);
  void make_room();
  void on_disk(Deed deed, Script& script);
  void on_link(Deed deed, Script& script);
  es1::Welcome welcome(Script& script);
  void add_entry(es1::Welcome& out, StreamKey key, uint64_t head, Script& script);
  es1::Ack ack(Script& script);
  void say(FrameType type, const google::protobuf::MessageLite& message);
  void deliver(Bytes frame);
  void believe(const es1::Welcome& welcome);
  Now now() const {
    return {time_.now(), {1'700'000'000'000'000 + time_.now().ms * 1000 + site_->wall_offset_us}};
  }

  sim::Timeline time_{MonoTime{1'000'000}};
  sim::Journal journal_{time_, false};
  sim::History history_;
  SeededEntropy entropy_{1};
  sim::Producer producer_{history_};
  std::unique_ptr<sim::Sealing> sealing_ = sim::clear_sealing();
  KvMemory cloud_disk_{cloud::kCloudSpaces};
  sim::CloudWatch cloud_watch_{cloud_disk_, history_, journal_};
  sim::Checker::Sites sites_;
  sim::Checker checker_{history_, journal_, *sealing_, cloud_watch_, cloud_disk_, sites_};
  sim::Site* site_ = nullptr;
  uint64_t processes_ = 0;
  bool connected_ = false;
  std::shared_ptr<Channel> cloud_;  // of the newest HELLO
  es1::Hello hello_;
  std::vector<Sent> sent_;  // on this link
  std::map<StreamKey, uint64_t> sent_to_;
  std::vector<Bytes> down_;  // what the cloud has said
};

}  // namespace egret::fuzz
