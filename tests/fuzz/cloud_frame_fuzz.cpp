// Fuzz entry: HELLO and BATCH of any bytes, said with the right keys to a region that knows the
// site and has records of it.
#include "schemas/chain.h"
#include "schemas/limits.h"
#include "tests/fuzz/region_bench.h"

using namespace egret;

namespace {

// Input: which message, and how many blocks the region has (1) · the body.
void run(ByteView input) {
  if (input.empty()) return;
  const uint8_t how = static_cast<uint8_t>(input[0]);
  fuzz::RegionBench bench;
  bench.greeted(how / 2 % 4);
  bench.say_body(how % 2 == 0 ? FrameType::hello : FrameType::batch, Bytes(input.substr(1)));
  bench.greeted(1);
  bench.end();
}

std::vector<Bytes> seeds() {
  es1::Hello hello;
  hello.set_hello_no(9);
  hello.set_hello_nonce("12345678");
  hello.set_ticket(1);
  hello.set_proto_min(1);
  hello.set_proto_max(2);
  hello.set_agent_version("1.2.3");
  for (uint64_t epoch : {1000, 1001}) {
    es1::HelloEpoch& e = *hello.add_epochs();
    e.set_epoch(epoch);
    e.set_final(epoch == 1000);
    es1::HelloStream& s = *e.add_streams();
    s.set_stream(0);
    s.set_head(3);
    s.set_c_head(Bytes(16, 'c'));
  }
  hello.mutable_finished()->add_entries("\x09\x01");
  es1::Batch batch;
  batch.set_epoch(1000);
  batch.set_first(1);
  batch.set_last(2);
  const Hash start = chain_start("north", {{1000}, StreamId::critical});
  batch.set_c_from(Bytes(view(start).substr(0, kDigestWireBytes)));
  batch.set_c_last(Bytes(16, 'c'));
  batch.set_head(2);
  batch.set_c_head(Bytes(16, 'c'));
  batch.set_raw_len(9);
  batch.set_records(Bytes("\1\0\0\0a\0\0\0\0", 9));
  batch.add_items()->set_count(1);
  es1::BatchItem& gap = *batch.add_items();
  gap.set_count(1);
  gap.set_gap(es1::GAP_SHED);
  gap.set_c_end(Bytes(32, 'c'));
  std::vector<Bytes> out;
  for (uint8_t blocks : {0, 2}) {
    out.push_back(fuzz::tagged(uint8_t(blocks * 2), hello.SerializeAsString()));
    out.push_back(fuzz::tagged(uint8_t(blocks * 2 + 1), batch.SerializeAsString()));
  }
  return out;
}

const fuzz::Registered registered({"cloud_frame", run, seeds});

}  // namespace
