// Fuzz entry, stateful: the edge's session and buffer under a script of events, with the
// simulator's checker on.
#include "tests/fuzz/site_bench.h"

using namespace egret;
using fuzz::Deed;

namespace {

constexpr size_t kDeedsMax = 400;

void run(ByteView input) {
  fuzz::SiteBench bench;
  fuzz::Script script(input);
  for (size_t n = 0; n < kDeedsMax && !script.over(); n++) {
    bench.perform(Deed(script.u8() % uint8_t(Deed::count_)), script);
    bench.check();
  }
  bench.do_all_writes();
  bench.check();
}

Bytes script_of(std::initializer_list<std::pair<Deed, std::vector<uint8_t>>> deeds) {
  Bytes out;
  for (const auto& [deed, more] : deeds) {
    out.push_back(static_cast<char>(deed));
    for (uint8_t byte : more) out.push_back(static_cast<char>(byte));
  }
  return out;
}

// A WELCOME's choices (welcome() in site_bench.cpp) when nothing unusual is wanted: 14 of the
// message, 5 an entry.
std::vector<uint8_t> plain_welcome(size_t entries) {
  return std::vector<uint8_t>(14 + 5 * entries + 1, 0);
}

std::vector<Bytes> seeds() {
  const std::pair<Deed, std::vector<uint8_t>> add{Deed::append, {1, 0x10, 0x20}},
      see{Deed::view, {}}, tick{Deed::tick, {}};
  const std::pair<Deed, std::vector<uint8_t>> up{Deed::connected, {0}}, sent{Deed::published, {0}},
      write{Deed::write, {}};
  const std::pair<Deed, std::vector<uint8_t>> yes{Deed::ack, std::vector<uint8_t>(12, 0)},
      hello{Deed::welcome, plain_welcome(4)};
  const std::pair<Deed, std::vector<uint8_t>> crash{Deed::crash, {}};
  return {script_of({add, see, tick, up, hello, sent, yes, sent, yes, tick, hello, write, write}),
          script_of({tick,
                     up,
                     {Deed::welcome, plain_welcome(0)},
                     add,
                     see,
                     sent,
                     yes,
                     crash,
                     tick,
                     up,
                     hello,
                     write,
                     add,
                     see,
                     sent,
                     yes}),
          script_of({add,
                     add,
                     see,
                     tick,
                     up,
                     hello,
                     {Deed::disconnected, {}},
                     tick,
                     up,
                     hello,
                     {Deed::publish_failed, {0, 1}},
                     sent,
                     tick,
                     tick}),
          script_of({add,
                     {Deed::shed, {}},
                     see,
                     tick,
                     up,
                     hello,
                     {Deed::spoil, {0, 0, 1}},
                     sent,
                     yes,
                     tick,
                     {Deed::room_purge, {}},
                     write,
                     write,
                     write}),
          script_of({add,
                     see,
                     tick,
                     up,
                     hello,
                     sent,
                     {Deed::need_hello, {0}},
                     tick,
                     hello,
                     {Deed::repeat_down, {0}},
                     {Deed::pressed, {}},
                     tick,
                     {Deed::wait, {255}}})};
}

const fuzz::Registered registered({"session", run, seeds});

}  // namespace
