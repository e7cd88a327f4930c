// Fuzz entry: WELCOME and ACK of any bytes, said with the right keys and nonces to a session that
// is linked and waits for them.
#include "tests/fuzz/site_bench.h"

using namespace egret;
using fuzz::Deed;

namespace {

// Input: which message and how many records the site has (1) · the body.
void run(ByteView input) {
  if (input.empty()) return;
  const uint8_t how = static_cast<uint8_t>(input[0]);
  fuzz::SiteBench bench;
  bench.to_active(how / 2 % 8);
  bench.say_body(how % 2 == 0 ? FrameType::welcome : FrameType::ack, Bytes(input.substr(1)));
  fuzz::Script none(ByteView{});
  for (const Deed deed : {Deed::write, Deed::view, Deed::tick, Deed::tick})
    bench.perform(deed, none);
  bench.do_all_writes();
  bench.check();
}

std::vector<Bytes> seeds() {
  es1::Welcome welcome;
  welcome.set_hello_nonce("n");
  welcome.set_hello_no_nonce("n");
  welcome.set_hello_no_seen(2);
  welcome.set_ticket(7);
  welcome.set_credit(3);
  welcome.set_lease_ms(120'000);
  welcome.set_herd_window_ms(30'000);
  es1::WelcomeEntry& entry = *welcome.add_entries();
  entry.set_epoch(1);
  entry.set_stream(1);
  entry.set_w(1);
  entry.set_c(Bytes(16, 'c'));
  entry.add_gaps()->set_last(3);
  es1::Ack ack;
  ack.set_nonce("n");
  ack.set_epoch(1);
  ack.set_stream(1);
  ack.set_w(1);
  ack.set_c(Bytes(16, 'c'));
  ack.add_rejected()->set_reason(1);
  ack.set_pause_ms(100);
  std::vector<Bytes> out;
  for (const es1::WelcomeStatus status :
       {es1::WELCOME_OK, es1::WELCOME_RETRY, es1::WELCOME_VERSION, es1::WELCOME_BLOCKED}) {
    welcome.set_status(status);
    out.push_back(fuzz::tagged(6, welcome.SerializeAsString()));
  }
  for (const es1::AckStatus status :
       {es1::ACK_OK, es1::ACK_GAP, es1::ACK_FORK, es1::ACK_BAD_BODY, es1::ACK_NEED_DICT}) {
    ack.set_status(status);
    out.push_back(fuzz::tagged(7, ack.SerializeAsString()));
  }
  return out;
}

const fuzz::Registered registered({"edge_frame", run, seeds});

}  // namespace
