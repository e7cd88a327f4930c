// What it costs to bring one event into the views: one more result of a patient who has 1 or 1,000 others at the same site, by
// the same model; one more version of a result that has 1 or 1,000. Both times the store holds as many records: what are
// neighbours the one time are strangers the other, of other patients and models. Processor time of the Follower alone, on
// RocksDB. Prints JSON.
//
//   merge_bench DIR [MANY=1000] [ROUNDS=7]
#include <fmt/format.h>

#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "cloud/access.h"
#include "cloud/follower.h"
#include "schemas/entropy.h"
#include "tests/bench/corpus.h"
#include "tests/bench/site_blocks.h"

namespace {

using namespace egret;
using namespace egret::cloud;

constexpr size_t kEvents = 100;  // of a step: a block; they share a sync
constexpr size_t kRecordBytes = 600;
const WallTime kAt{1'760'000'000'000'000};

[[noreturn]] void fail(const std::string& why) {
  fmt::print(stderr, "merge_bench: {}\n", why);
  std::exit(74);
}

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// A site, its store, and the views of it.
class Bed {
 public:
  explicit Bed(const std::string& dir) {
    auto opened = found_store(dir, entropy_);
    if (!opened) fail(opened.error().text);
    opened_ = std::move(*opened);
    follower_.emplace(*opened_.kv);
    follow();
  }
  // Result `n`: of patient n modulo kEvents and one model, or of a stranger.
  Bytes record(uint64_t n, uint32_t version, bool stranger) { return (stranger ? strangers_ : neighbours_).record(n, version); }
  void commit(std::vector<Bytes> records) {
    const bench::SiteBlock block = bench::judged(std::move(records), kSite);
    auto txn = opened_.store->begin();
    bench::append(*txn, kSite, {&block, 1}, kAt);
    if (opened_.store->commit(std::move(txn)) != CommitResult::committed) fail(opened_.store->last_error().text);
  }
  // Seconds of the processor until the views know of all that is committed.
  double follow() {
    const double begun = processor_seconds();
    for (;;) {
      const auto took = follower_->step(64);
      if (!took) fail(took.error().text);
      if (*took == 0) return processor_seconds() - begun;
    }
  }

 private:
  static constexpr const char* kSite = "clinic-1";
  OsEntropy entropy_;
  OpenedStore opened_;
  std::optional<Follower> follower_;
  bench::Corpus neighbours_{kSite, kRecordBytes, bench::Spread{kEvents, 1}};
  bench::Corpus strangers_{kSite, kRecordBytes, bench::Spread{1'000'003, 200}};
};

// Event `k` of `n`, one of the kEvents whose events are counted apart.
using Event = std::function<Bytes(Bed&, size_t n, uint32_t k)>;

// Microseconds for one more event where there are `beside` of them, and a few more in later rounds, among many * kEvents records.
double microseconds(const std::string& dir, size_t beside, size_t many, size_t rounds, const Event& event) {
  Bed bed(dir);
  uint32_t k = 0;
  const auto one_block = [&](const std::function<Bytes(size_t n)>& record) {
    std::vector<Bytes> block;
    for (size_t n = 0; n < kEvents; ++n) block.push_back(record(n));
    bed.commit(std::move(block));
  };
  const auto one_more_each = [&] {
    one_block([&](size_t n) { return event(bed, n, k); });
    ++k;
  };
  for (size_t block = 0; block < many; ++block) {
    if (block % (many / beside) == 0 && k < beside) {
      one_more_each();
    } else {
      one_block([&](size_t n) { return bed.record(500'000 + block * kEvents + n, 1, true); });
    }
    if (block % 64 == 0) bed.follow();
  }
  bed.follow();
  std::vector<double> us;
  for (size_t round = 0; round < rounds; ++round) {
    one_more_each();
    us.push_back(bed.follow() / kEvents * 1e6);
  }
  std::sort(us.begin(), us.end());
  return us[us.size() / 2];
}

std::string compared(const std::string& dir, size_t many, size_t rounds, const Event& event) {
  const double one_us = microseconds(dir + "-1", 1, many, rounds, event), many_us = microseconds(dir + "-many", many, many, rounds, event);
  return fmt::format(R"({{"one_us":{:.2f},"many_us":{:.2f},"ratio":{:.3f}}})", one_us, many_us, many_us / one_us);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "merge_bench DIR [MANY] [ROUNDS]\n");
    return 2;
  }
  const std::string dir = argv[1];
  const size_t many = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000, rounds = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 7;
  const std::string results = compared(dir + "/results", many, rounds, [](Bed& bed, size_t n, uint32_t k) { return bed.record(n + k * kEvents, 1, false); });
  const std::string versions = compared(dir + "/versions", many, rounds, [](Bed& bed, size_t n, uint32_t k) { return bed.record(n, k + 1, false); });
  fmt::print(R"({{"many":{},"events":{},"results":{},"versions":{}}})" "\n", many, kEvents, results, versions);
  return 0;
}
