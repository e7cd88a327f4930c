// What durable ingest costs beside the least that a durable append can cost: agent/writer over the
// buffer on RocksDB against append + fdatasync of the same raw bytes in the same groups. Rounds of
// both take turns, so that a disk that is slower for a while is slower for both. Prints JSON.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "agent/host.h"
#include "agent/store.h"
#include "agent/writer.h"
#include "schemas/chain.h"
#include "tests/bench/corpus.h"

using namespace egret;
namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;
constexpr const char* kFac = "clinic-1";

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "ingest_bench: %s\n", why.c_str());
  std::exit(74);
}

double seconds_since(Clock::time_point from) {
  return std::chrono::duration<double>(Clock::now() - from).count();
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values.at(static_cast<size_t>(q * static_cast<double>(values.size() - 1)));
}

struct Round {
  double seconds = 0;
  std::vector<size_t> groups;     // records that were synced together, in order
  std::vector<double> latencies;  // seconds, one a record or group
};

// Producers that each hand in their next record when the last one is durable, on one thread, like
// the agent's doors.
class Producers {
 public:
  Producers(edge::Buffer& buffer, const std::vector<Bytes>& records, size_t count)
      : records_(records) {
    auto post = [this](std::function<void()> job) {
      boost::asio::post(io_, [this, job = std::move(job)] {
        answered_ = 0;
        job();
        if (answered_ > 0) round_.groups.push_back(answered_);
        if (left_ == 0) io_.stop();
      });
    };
    agent::Writer::Events events{[](edge::View) {}, [](const Error& error) { fail(error.text); }};
    writer_ = std::make_unique<agent::Writer>(buffer, [] { return agent::now(); }, post, events);
    left_ = records_.size();
    const auto begun = Clock::now();
    for (size_t i = 0; i < std::min(count, records_.size()); ++i) next();
    auto work = boost::asio::make_work_guard(io_);
    io_.run();
    round_.seconds = seconds_since(begun);
    writer_.reset();
  }
  Round take() { return std::move(round_); }

 private:
  void next() {
    if (next_ == records_.size()) return;
    const auto begun = Clock::now();
    const bool taken =
        writer_->append({{{StreamId::result, records_[next_++]}}}, [this, begun](const auto& done) {
          if (!done) fail(done.error().text);
          round_.latencies.push_back(seconds_since(begun));
          ++answered_;
          --left_;
          next();
        });
    if (!taken) fail("the writer's queue is full");
  }

  const std::vector<Bytes>& records_;
  boost::asio::io_context io_{1};
  Round round_;
  size_t next_ = 0, left_ = 0, answered_ = 0;
  std::unique_ptr<agent::Writer> writer_;
};

// The same records in the same groups, raw.
Round append_plain(const fs::path& file, const std::vector<Bytes>& records,
                   const std::vector<size_t>& groups) {
  const int fd = ::open(file.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) fail(file.string() + ": cannot be made");
  Round round;
  round.groups = groups;
  size_t at = 0;
  const auto begun = Clock::now();
  for (size_t group : groups) {
    const auto group_begun = Clock::now();
    Bytes raw;
    for (size_t i = 0; i < group; ++i) append_record(raw, records[at++]);
    if (::write(fd, raw.data(), raw.size()) != static_cast<ssize_t>(raw.size()) ||
        ::fdatasync(fd) != 0)
      fail("append");
    round.latencies.push_back(seconds_since(group_begun));
  }
  round.seconds = seconds_since(begun);
  ::close(fd);
  return round;
}

struct Series {
  std::vector<double> ours, plain;  // records a second
  std::vector<double> ratios;       // ours / plain
  std::vector<double> p50_ours, p50_plain, p50_ratios;
  double group = 0;  // records, mean
};

Series measure(edge::Buffer& buffer, bench::Corpus& corpus, const fs::path& file, size_t producers,
               size_t records, size_t rounds, uint64_t& n) {
  Series out;
  for (size_t r = 0; r <= rounds; ++r) {
    std::vector<Bytes> set;
    for (size_t i = 0; i < records; ++i) set.push_back(corpus.record(n++));
    const Round ours = Producers(buffer, set, producers).take();
    const Round plain = append_plain(file, set, ours.groups);
    if (r == 0) continue;  // files and memory are warm from here on
    const double count = static_cast<double>(records);
    out.ours.push_back(count / ours.seconds);
    out.plain.push_back(count / plain.seconds);
    out.ratios.push_back(plain.seconds / ours.seconds);
    out.p50_ours.push_back(quantile(ours.latencies, 0.5));
    out.p50_plain.push_back(quantile(plain.latencies, 0.5));
    out.p50_ratios.push_back(out.p50_ours.back() / out.p50_plain.back());
    out.group = count / static_cast<double>(ours.groups.size());
  }
  return out;
}

void print(const char* name, const Series& s, const char* end) {
  auto mid = [](const std::vector<double>& v) { return quantile(v, 0.5); };
  auto least = [](const std::vector<double>& v) { return quantile(v, 0); };
  auto most = [](const std::vector<double>& v) { return quantile(v, 1); };
  std::printf(
      "\"%s\":{\"records_s\":%.0f,\"append_records_s\":%.0f,\"group\":%.1f,\"ratio\":%.3f,\"ratio_"
      "min\":%.3f,\"ratio_max\":%.3f,"
      "\"p50_ms\":%.3f,\"fdatasync_p50_ms\":%.3f,\"p50_ratio\":%.3f,\"p50_ratio_min\":%.3f,\"p50_"
      "ratio_max\":%.3f}%s",
      name, mid(s.ours), mid(s.plain), s.group, mid(s.ratios), least(s.ratios), most(s.ratios),
      1e3 * mid(s.p50_ours), 1e3 * mid(s.p50_plain), mid(s.p50_ratios), least(s.p50_ratios),
      most(s.p50_ratios), end);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: ingest_bench DIR [ROUNDS=7] [BYTES=600] [PRODUCERS=64]\n");
    return 2;
  }
  const size_t rounds = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 7;
  const size_t bytes = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 600;
  const size_t producers = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 64;
  agent::Config config;
  config.facility = kFac;
  config.state_dir = fs::path(argv[1]) / "ingest";
  fs::create_directories(config.state_dir);
  agent::MixedEntropy entropy;
  Result<agent::OpenStore> store = agent::open_agent_store(config, entropy, agent::now().wall);
  if (!store) fail(store.error().text);
  bench::Corpus corpus(kFac, bytes);
  uint64_t n = 0;
  const fs::path plain = config.state_dir / "plain";
  const Series many = measure(*store->buffer, corpus, plain, producers, 30'000, rounds, n);
  const Series one = measure(*store->buffer, corpus, plain, 1, 120, 5 * rounds, n);
  std::printf("{\"rounds\":%zu,\"bytes\":%zu,\"producers\":%zu,", rounds, bytes, producers);
  print("many", many, ",");
  print("one", one, "}\n");
  store->buffer.reset();
  store->kv.reset();
  fs::remove_all(config.state_dir);
}
