// A damaged store is set aside, and what it holds comes back beside the normal work.
#include "agent/rescue.h"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <fstream>
#include <mutex>

#include "agent/store.h"
#include "edge/kv_options.h"
#include "schemas/chain.h"
#include "schemas/kv_wal.h"
#include "schemas/limits.h"
#include "scratch.h"
#include "tests/sim/seeded_entropy.h"

using namespace egret;
using namespace egret::agent;
namespace fs = std::filesystem;

namespace {

const Facility kFac = "clinic";
constexpr uint64_t kRoom = 1 << 30;

// The daemon's thread: runs here what was posted.
class Post {
 public:
  std::function<void(std::function<void()>)> to() {
    return [this](std::function<void()> job) {
      std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
      wake_.notify_one();
    };
  }
  bool run_one() {
    std::unique_lock lock(mutex_);
    if (!wake_.wait_for(lock, std::chrono::seconds(10), [&] { return !jobs_.empty(); })) return false;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    return true;
  }
  void drop() {
    std::lock_guard lock(mutex_);
    jobs_.clear();
  }

  // What waits now: an answer that comes too late for its rescue still holds the damaged store open.
  void run_waiting() {
    std::unique_lock lock(mutex_);
    auto waiting = std::exchange(jobs_, {});
    lock.unlock();
    for (auto& job : waiting) job();
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
};

struct Site {
  Scratch scratch;
  Config config;
  SeededEntropy entropy{1};
  OpenStore store;
  Post post;
  std::vector<std::string> said;
  std::unique_ptr<Writer> writer;
  std::shared_ptr<Rescue> rescue;

  Site() {
    config.facility = kFac;
    config.state_dir = scratch.path();
    open();
  }
  void open(bool distrust = false, MonoTime not_before = {}) {
    close();
    Result<OpenStore> opened = open_agent_store(config, entropy, WallTime{5'000'000}, distrust);
    REQUIRE(opened.has_value());
    store = std::move(*opened);
    Writer::Events events;
    events.view_changed = [](const edge::View&) {};
    events.failed = [](const Error& error) { FAIL(error.text); };
    writer = std::make_unique<Writer>(*store.buffer, [] { return Now{}; }, post.to(), events);
    Rescue::Ways ways;
    ways.run = [this](Writer::Job job) { writer->run(std::move(job)); };
    ways.post = post.to();
    ways.say = [this](const Message& what) { said.push_back(what.text()); };
    rescue = std::make_shared<Rescue>(config.state_dir, kFac, std::move(ways), not_before);
  }
  void append(const std::string& name, int blocks) {
    for (int i = 0; i < blocks; i++) {
      edge::Unit unit;
      unit.records.push_back({StreamId::result, name + std::to_string(i)});
      REQUIRE(store.buffer->append(std::span(&unit, 1), {1}).has_value());
    }
  }
  void close() {
    rescue.reset();
    writer.reset();
    store = {};
  }
  void damage() {
    close();
    std::ofstream(config.state_dir / "store" / "CURRENT", std::ios::trunc) << "what is this\n";
  }
  std::set<Bytes> holds() {
    std::set<Bytes> all;
    for (const edge::EpochView& e : store.buffer->view().epochs) {
      const StreamKey key{e.id, StreamId::result};
      for (Seq at{}; at < e.streams[size_t(StreamId::result)].head;) {
        const auto items = store.buffer->read(key, at, {1 << 20, 1000, 100'000});
        if (items.empty()) break;
        for (const edge::Item& item : items) {
          bool ok = true;
          for (ByteView record : split_records(item.raw, ok)) all.insert(Bytes(record));
          at = item.last();
        }
      }
    }
    return all;
  }
  bool rescued() const { return fs::exists(config.state_dir / "store.salvaged-5"); }
  void run_until_said() {
    while (said.empty()) REQUIRE(post.run_one());
  }
};

fs::path list_of_files_in(const fs::path& store) {
  for (const auto& entry : fs::directory_iterator(store)) {
    if (entry.path().filename().string().starts_with("MANIFEST")) return entry.path();
  }
  throw std::runtime_error("no list of files");
}

// How many blocks lie in the store, as RocksDB opens it when nobody asks; nullopt: it does not.
std::optional<uint64_t> blocks_in(const fs::path& dir) {
  auto kv = open_rocksdb(edge::kv_options(dir));
  if (!kv) return std::nullopt;
  uint64_t blocks = 0;
  const auto count = [&](ByteView, ByteView) { return ++blocks > 0; };
  REQUIRE((*kv)->scan(edge::block_space(StreamId::result), Bytes(), Bytes(16, '\xff'), count).has_value());
  return blocks;
}

constexpr int kBlocks = 3 * int(kMoveStepBlocks) + 1;

}  // namespace

TEST_CASE("what a damaged store holds comes back, and the store is kept under another name", "[es1 5.7]") {
  Site site;
  site.append("r", kBlocks);
  site.damage();
  site.open();
  REQUIRE(site.store.set_aside.has_value());
  site.append("meanwhile", 1);
  site.rescue->tick({0}, kRoom);
  site.run_until_said();
  INFO(site.said[0]);
  CHECK(site.said[0].starts_with(std::to_string(kBlocks) + " records"));
  CHECK(site.rescued());
  CHECK_FALSE(oldest_damaged_store(site.config.state_dir).has_value());
  CHECK(site.holds().size() == size_t(kBlocks) + 1);
}

TEST_CASE("a rescue that a crash has interrupted goes on with the next start", "[es1 5.7]") {
  Site site;
  site.append("r", kBlocks);
  site.damage();
  site.open();
  site.rescue->tick({0}, kRoom);
  for (int i = 0; i < 3; i++) REQUIRE(site.post.run_one());
  CHECK_FALSE(site.rescued());
  site.open();
  CHECK_FALSE(site.store.set_aside.has_value());  // the fresh store is good, and nothing says that it is fresh
  site.rescue->tick({0}, kRoom);
  site.run_until_said();
  CHECK(site.rescued());
  CHECK(site.holds().size() == size_t(kBlocks));
}

TEST_CASE("a rescue that failed together with the store waits before it begins again", "[es1 5.7]") {
  Site site;
  site.append("r", kBlocks);
  site.damage();
  site.open();
  site.rescue->tick({0}, kRoom);
  CHECK(site.rescue->busy());
  site.open(false, {kRescueRetryMs});
  site.post.run_waiting();
  site.rescue->tick({kRescueRetryMs - 1}, kRoom);
  CHECK_FALSE(site.rescue->busy());
  site.rescue->tick({kRescueRetryMs}, kRoom);
  CHECK(site.rescue->busy());
  site.run_until_said();
  CHECK(site.holds().size() == size_t(kBlocks));
}

TEST_CASE("without room a damaged store waits, and says what it needs", "[es1 5.7]") {
  Site site;
  site.append("r", 10);
  site.damage();
  site.open();
  site.rescue->tick({0}, 100);
  REQUIRE(site.said.size() == 1);
  CHECK(site.said[0].find("store.damaged-5") != std::string::npos);
  CHECK(site.said[0].find("MiB") != std::string::npos);
  site.rescue->tick({kRescueRetryMs - 1}, kRoom);
  CHECK(site.said.size() == 1);
  site.said.clear();
  site.rescue->tick({kRescueRetryMs}, kRoom);
  site.run_until_said();
  CHECK(site.rescued());
  CHECK(site.holds().size() == 10);
}

TEST_CASE("wherever the list of files has lost its end, all that it named is there or comes back", "[es1 5.7]") {
  constexpr int kRuns = 5;
  Site site;
  for (int run = 0; run < kRuns; run++) {
    site.append("r" + std::to_string(run) + ".", 3);
    site.open();  // what the log held becomes a table
  }
  site.close();
  const fs::path dir = site.config.state_dir, store = dir / "store", kept = dir / "kept";
  fs::rename(store, kept);
  std::ifstream in(list_of_files_in(kept), std::ios::binary);
  const std::vector<LogRecord> edits = whole_records(Bytes(std::istreambuf_iterator<char>(in), {}));
  REQUIRE(edits.size() > 6);
  int missed = 0, lost_unasked = 0;
  for (const LogRecord& edit : edits) {
    for (const char* name : {"store", "store.salvaged-5"}) fs::remove_all(dir / name);
    const auto put_back = [&] {
      fs::remove_all(store);
      fs::copy(kept, store);
      fs::resize_file(list_of_files_in(store), edit.end);
    };
    put_back();
    lost_unasked += blocks_in(store).value_or(3 * kRuns) < 3 * kRuns;
    put_back();
    site.said.clear();
    site.open();
    INFO("cut to " << edit.end << " bytes; " << site.store.why);
    if (site.store.set_aside) {
      missed++;
      site.rescue->tick({0}, kRoom);
      site.run_until_said();
    }
    CHECK(site.holds().size() == size_t(3 * kRuns));
    site.close();
  }
  CHECK(missed > 0);
  CHECK(lost_unasked > 0);  // the control
}

namespace {

// As a crash ends it: nothing of the rescue is taken down in order.
void crash_in_rescue(Site& site) {
  static std::vector<std::shared_ptr<Rescue>> crashed;
  site.rescue->tick({0}, kRoom);
  REQUIRE(site.rescue->busy());
  crashed.push_back(site.rescue);
  site.open();
  site.post.drop();
}

}  // namespace

TEST_CASE("a store whose reading ends the agent each time is left alone and said, and the next one comes back", "[es1 5.7]") {
  Site site;
  site.append("bad", 10);
  site.damage();
  site.open();
  for (int i = 0; i < kAttemptsMax; i++) crash_in_rescue(site);
  CHECK(site.said.empty());
  site.append("good", 10);
  site.damage();
  site.open();  // store.damaged-6
  site.rescue->tick({0}, kRoom);
  CHECK_FALSE(site.rescue->busy());
  REQUIRE(site.said.size() == 1);
  CHECK(site.said[0].find("store.unreadable-5") != std::string::npos);
  CHECK(fs::exists(site.config.state_dir / "store.unreadable-5" / "CURRENT"));
  site.said.clear();
  site.rescue->tick({1}, kRoom);
  site.run_until_said();
  INFO(site.said[0]);
  CHECK(fs::exists(site.config.state_dir / "store.salvaged-6"));
  CHECK(site.holds().size() == 10);
}

TEST_CASE("a rescue that ends in order, well or not, begins its count of crashes anew", "[es1 5.7]") {
  Site site;
  site.append("r", kBlocks);
  site.damage();
  site.open();
  for (int i = 0; i < 3 * kAttemptsMax; i++) {
    site.rescue->tick({0}, kRoom);
    REQUIRE(site.rescue->busy());
    site.open();
    site.post.run_waiting();
  }
  for (int i = 0; i + 1 < kAttemptsMax; i++) crash_in_rescue(site);
  site.rescue->tick({0}, kRoom);
  site.run_until_said();
  CHECK(site.rescued());
  for (const auto& entry : fs::directory_iterator(site.config.state_dir))
    CHECK(entry.path().extension() != ".attempts");
}

TEST_CASE("a store whose opening ends the agent each time is set aside and brought back like any other", "[es1 5.7]") {
  Site site;
  site.append("r", 10);
  site.close();
  for (int i = 0; i < kAttemptsMax; i++) CHECK(Attempts(site.config.state_dir / "store.attempts").begin());
  site.open();
  REQUIRE(site.store.set_aside.has_value());
  CHECK(site.store.why.find("each time") != std::string::npos);
  site.rescue->tick({0}, kRoom);
  site.run_until_said();
  CHECK(site.holds().size() == 10);
  site.open();
  CHECK_FALSE(site.store.set_aside.has_value());
}

TEST_CASE("a store that opens and fails again and again is set aside and brought back like any other", "[es1 5.7]") {
  Site site;
  site.append("r", 10);
  site.open(true);
  REQUIRE(site.store.set_aside.has_value());
  CHECK(site.holds().empty());
  site.rescue->tick({0}, kRoom);
  site.run_until_said();
  CHECK(site.holds().size() == 10);
}
