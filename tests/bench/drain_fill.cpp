// Fills the state folder of an agent that does not run with a backlog, and writes the same raw
// bytes to a file for pipe_bench. Ends like kill -9 would end it: the store is not closed, its log
// stays to be replayed.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "agent/config.h"
#include "agent/host.h"
#include "agent/store.h"
#include "schemas/chain.h"
#include "tests/bench/corpus.h"

using namespace egret;

namespace {

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "drain_fill: %s\n", why.c_str());
  std::exit(74);
}

uint64_t number(const char* text) {
  return std::strtoull(text, nullptr, 10);
}

void fill(edge::Buffer& buffer, bench::Corpus& corpus, std::FILE* raw, uint64_t records,
          uint64_t group) {
  for (uint64_t n = 0; n < records;) {
    std::vector<edge::Unit> units;
    Bytes bytes;
    for (; units.size() < group && n < records; ++n) {
      Bytes record = corpus.record(n);
      append_record(bytes, record);
      units.push_back({{{StreamId::result, std::move(record)}}});
    }
    if (std::fwrite(bytes.data(), 1, bytes.size(), raw) != bytes.size())
      fail("the corpus cannot be written");
    if (const auto done = buffer.append(units, agent::now().wall); !done) fail(done.error().text);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(
        stderr,
        "usage: drain_fill AGENT_CONFIG CORPUS_FILE [RECORDS=1000000] [BYTES=600] [GROUP=64]\n");
    return 2;
  }
  const uint64_t records = argc > 3 ? number(argv[3]) : 1'000'000;
  const uint64_t bytes = argc > 4 ? number(argv[4]) : 600;
  const uint64_t group = argc > 5 ? number(argv[5]) : 64;
  agent::CheckedConfig checked = agent::read_config(argv[1]);
  if (!checked.mistakes.empty()) fail(agent::text_of(checked.mistakes.front()));
  agent::MixedEntropy entropy;
  Result<agent::OpenStore> store =
      agent::open_agent_store(checked.config, entropy, agent::now().wall);
  if (!store) fail(store.error().text);
  std::FILE* raw = std::fopen(argv[2], "wb");
  if (raw == nullptr) fail("the corpus cannot be written");
  bench::Corpus corpus(checked.config.facility, bytes);
  fill(*store->buffer, corpus, raw, records, group);
  if (std::fclose(raw) != 0) fail("the corpus cannot be written");
  std::printf("{\"records\":%llu,\"bytes\":%llu,\"group\":%llu,\"disk_bytes\":%llu}\n",
              static_cast<unsigned long long>(records), static_cast<unsigned long long>(bytes),
              static_cast<unsigned long long>(group),
              static_cast<unsigned long long>(store->kv->disk_bytes()));
  std::fflush(stdout);
  ::_exit(0);
}
