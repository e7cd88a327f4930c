// Fuzz entry, stateful: the cloud's reconciler and store under a script of what two sites that have
// keys may say.
#include "tests/fuzz/region_bench.h"

using namespace egret;
using fuzz::Ask;

namespace {

constexpr size_t kAsksMax = 300;

void run(ByteView input) {
  fuzz::RegionBench bench;
  fuzz::Script script(input);
  for (size_t n = 0; n < kAsksMax && !script.over(); n++)
    bench.perform(Ask(script.u8() % uint8_t(Ask::count_)), script);
  bench.end();
}

Bytes script_of(std::initializer_list<std::pair<Ask, size_t>> asks) {
  Bytes out;
  for (const auto& [ask, zeros] : asks) {
    out.push_back(static_cast<char>(ask));
    out.append(zeros, '\0');
  }
  return out;
}

std::vector<Bytes> seeds() {
  // How many bytes a deed reads when nothing unusual is wanted.
  const std::pair<Ask, size_t> hello{Ask::hello, 60}, data{Ask::data, 4}, batch{Ask::batch, 6},
      gap{Ask::gap, 4}, wait{Ask::wait, 1};
  return {script_of({hello, hello, data, batch, data, data, batch, gap, batch, {Ask::repeat, 1}}),
          script_of({data,
                     data,
                     hello,
                     hello,
                     batch,
                     {Ask::crash, 0},
                     hello,
                     data,
                     batch,
                     {Ask::new_run, 1},
                     hello,
                     hello,
                     batch}),
          script_of({hello,
                     hello,
                     data,
                     batch,
                     {Ask::roll_back, 3},
                     data,
                     hello,
                     batch,
                     wait,
                     {Ask::commit_fails, 1},
                     batch,
                     {Ask::commit_unknown, 1},
                     batch}),
          script_of({data,
                     hello,
                     hello,
                     batch,
                     {Ask::confirm, 0},
                     {Ask::block, 3},
                     hello,
                     {Ask::raw_body, 40},
                     {Ask::raw_frame, 4},
                     hello})};
}

const fuzz::Registered registered({"reconciler", run, seeds});

}  // namespace
