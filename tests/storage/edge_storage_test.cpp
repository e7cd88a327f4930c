// The edge's promise on the real RocksDB when power fails: the same work is done again and again,
// and the power is cut at another operation on the disk each time. After it: every record whose
// append returned is there, once (es1 I1), blocks tile (I3) and chain (I4). And the proof that the
// test can see a loss: without sync it does.
#include <chrono>
#include <set>

#include "edge/kv_options.h"
#include "edge/unnamed.h"
#include "tests/storage/in_stride.h"
#include "tests/storage/lying_kv.h"
#include "tests/storage/power_cut_fs.h"
#include "tests/storage/storage_main.h"
#include "tests/unit/edge/buffer_rig.h"

using namespace egret;
using namespace egret::edge;
using namespace egret::test;
using Kept = PowerCutFs::Kept;
using Lie = LyingKv::Lie;

namespace {

constexpr std::chrono::seconds kShortRun{6};     // a way of losing, in CI
constexpr std::chrono::seconds kShortFaults{3};  // a kind of fault

// What the producers know: which records were accepted, which may or may not be there, which were
// given up.
struct Books {
  std::set<Bytes> accepted;
  std::vector<std::vector<Bytes>> open;  // appends that failed: all or nothing
  std::set<Bytes> released;              // a purge or a shed of them was begun
};

class Site {
 public:
  explicit Site(std::optional<Lie> lie)
      : fs_(std::make_shared<PowerCutFs>(dir_.path / "attic")), env_(env_over(fs_)), lie_(lie) {}
  PowerCutFs& fs() { return *fs_; }

  bool open() {
    KvOptions options = kv_options(dir_.path / "store");
    options.env = env_.get();
    options.memtable_bytes = 64 << 10;  // so that flushes and compactions are among what is cut
    options.memtables_total_bytes = 256 << 10;
    options.log_bytes_max = 128 << 10;
    options.doubt = true;
    auto kv = open_rocksdb(options);
    if (!kv) return failed(kv.error());
    kv_ = std::move(*kv);
    if (auto whole = nothing_missed(*kv_, kFac); !whole) return failed(whole.error());
    believe(*kv_);
    if (lie_) kv_ = std::make_unique<LyingKv>(std::move(kv_), *lie_);
    auto buffer = Buffer::open(*kv_, kFac, entropy_);
    if (!buffer) return failed(buffer.error());
    buffer_ = std::move(*buffer);
    return true;
  }
  void close() {
    buffer_.reset();
    kv_.reset();
  }
  Buffer& buffer() { return *buffer_; }
  Kv& kv() { return *kv_; }
  const std::string& why() const { return why_; }

 private:
  bool failed(const Error& error) {
    why_ = error.text;
    close();
    return false;
  }
  TempDir dir_;
  std::shared_ptr<PowerCutFs> fs_;
  std::unique_ptr<rocksdb::Env> env_;
  const std::optional<Lie> lie_;
  SeededEntropy entropy_{11};
  std::unique_ptr<Kv> kv_;
  std::unique_ptr<Buffer> buffer_;
  std::string why_;
};

bool append(Site& site, Books& books, StreamId stream, const std::string& name, int count,
            size_t size) {
  static const Bytes filler = [] {
    SeededEntropy entropy(3);
    Bytes bytes(64 << 10, '\0');
    entropy.fill(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size());
    return bytes;
  }();
  Unit unit;
  std::vector<Bytes> records;
  for (int i = 0; i < count; ++i) {
    records.push_back(name + "." + std::to_string(i) + ":" + filler.substr(i, size));
    unit.records.push_back({stream, records.back()});
  }
  const bool ok = site.buffer().append(std::span(&unit, 1), {1}).has_value();
  if (ok) books.accepted.insert(records.begin(), records.end());
  if (!ok) books.open.push_back(records);
  return ok;
}

void release(Books& books, const std::vector<Item>& items, Seq to) {
  for (const Item& item : items) {
    if (item.gap != GapKind::none || item.last() > to) continue;
    for (const Bytes& r : records_of(item)) books.released.insert(r);
  }
}

bool purge_oldest(Site& site, Books& books, StreamId stream, size_t blocks) {
  for (const EpochView& e : site.buffer().view().epochs) {
    const StreamKey key{e.id, stream};
    const StreamView& s = e.streams[size_t(stream)];
    const auto items = s.moved ? std::vector<Item>{} : site.buffer().read(key, s.purged, kAll);
    if (items.empty()) continue;
    const Seq to = items[std::min(blocks, items.size()) - 1].last();
    release(books, items, to);
    const PurgeTo upto{key, to, to};
    return site.buffer().purge(std::span(&upto, 1)).has_value();
  }
  return true;
}

bool shed(Site& site, Books& books) {
  for (const EpochView& e : site.buffer().view().epochs) {
    const StreamKey key{e.id, StreamId::telemetry};
    for (const Item& item : site.buffer().read(key, e.streams[size_t(key.stream)].purged, kAll)) {
      if (item.gap == GapKind::none) {
        release(books, {item}, item.last());
        return site.buffer().shed_oldest([](EpochId) { return Seq{}; }).has_value();
      }
    }
  }
  return true;
}

bool park_one(Site& site) {
  const View v = site.buffer().view();
  const StreamKey key{v.current, StreamId::result};
  for (const Item& item : site.buffer().read(key, v.find(key)->purged, kAll)) {
    if (item.gap == GapKind::none)
      return site.buffer().park(key, item.first, GapReason::frame_too_large).has_value();
  }
  return true;
}

// One run of the site: every kind of step that changes what is held. False at the first that fails.
bool run(Site& site, Books& books, const std::string& name) {
  if (!site.open()) return false;
  for (int i = 0; i < 4; ++i) {
    const std::string n = name + std::to_string(i);
    if (!append(site, books, StreamId::critical, n + "c", 1, 100)) return false;
    if (!append(site, books, StreamId::result, n + "r", 3, 4000)) return false;
    if (!append(site, books, StreamId::telemetry, n + "t", 40, 600)) return false;
    if (!append(site, books, StreamId::bulk, n + "b", 3, 30'000)) return false;
    if (!purge_oldest(site, books, StreamId::bulk, 1)) return false;
    if (i == 1 && !park_one(site)) return false;
    if (i == 2 && !shed(site, books)) return false;
  }
  const EpochId oldest = site.buffer().view().epochs[0].id;
  if (!site.buffer().rehome({oldest, StreamId::telemetry})) return false;
  if (!site.buffer().rehome({oldest, StreamId::result})) return false;
  if (!site.buffer().unpark(std::nullopt)) return false;
  return purge_oldest(site, books, StreamId::telemetry, 2);
}

bool work(Site& site, Books& books) {
  for (const char* name : {"first", "second"}) {
    const bool done = run(site, books, name);
    site.close();
    if (!done) return false;
  }
  return true;
}

// What does not hold of I1: the first wrong thing, in words; empty when all is well.
std::string wrong_with(const Holdings& found, const Books& books) {
  for (const Bytes& r : books.accepted) {
    if (!books.released.contains(r) && !found.records.contains(r))
      return "lost: " + r.substr(0, r.find(':'));
  }
  size_t known = 0;
  for (const auto& unit : books.open) {
    size_t there = 0, released = 0;
    for (const Bytes& r : unit) {
      const bool is = found.records.contains(r);
      there += is;
      released += !is && books.released.contains(r);
    }
    if (there != 0 && there + released != unit.size())
      return "half a unit: " + unit[0].substr(0, unit[0].find(':'));
    known += there;
  }
  for (const auto& [record, times] : found.records) {
    if (times != 1) return "twice: " + record.substr(0, record.find(':'));
    known += books.accepted.contains(record);
  }
  if (found.unreadable) return "unreadable: " + std::to_string(found.unreadable);
  return known == found.records.size() ? "" : "invented";
}

// Cuts the power at operation `n` of the work. Returns whether the work met the cut, and what is
// wrong after it.
struct Outcome {
  bool cut = false;
  std::string wrong;
};
Outcome cut_at(uint64_t n, Kept kept, std::optional<Lie> lie = {}) {
  Site site(lie);
  Books books;
  SeededEntropy chance(n * 3 + uint64_t(kept));
  site.fs().cut_at(n);
  work(site, books);
  Outcome outcome{site.fs().off(), {}};
  site.fs().power_back(kept, chance);
  if (!site.open()) return {outcome.cut, "does not open: " + site.why()};
  if (!lie) audit(site.kv(), site.buffer());
  if (!site.buffer().unpark(std::nullopt)) return {outcome.cut, "does not unpark"};
  outcome.wrong = wrong_with(found_in(site.buffer()), books);
  return outcome;
}

// The same with a fault at operation `n` and the power on: the agent closes its store, opens it and
// goes on (es1 5.7). Then the power is cut: what the fault has lost on the quiet is seen. Ready in
// time each time.
constexpr std::chrono::milliseconds kReadyLimit{1000};
constexpr int kTries = 60;  // of a full disk each takes one of its operations, or more
Outcome fault_at(uint64_t n, PowerCutFs::Fault fault, Kept kept, std::optional<Lie> lie = {}) {
  Site site(lie);
  Books books;
  SeededEntropy chance(n * 5 + uint64_t(fault));
  site.fs().fail_at(n, fault);
  int failures = 0;
  for (int runs = 0; runs < 3; runs += 1) {
    bool done = false;
    for (int tries = 0; !done && tries < kTries; ++tries) {
      done = run(site, books, std::to_string(runs) + "." + std::to_string(tries) + ".");
      failures += !done;
      site.close();
    }
    if (!done) return {true, "does not resume: " + site.why()};
  }
  site.fs().power_back(kept, chance);
  const auto start = std::chrono::steady_clock::now();
  if (!site.open()) return {failures > 0, "does not open: " + site.why()};
  const auto ready = std::chrono::steady_clock::now() - start;
  if (ready > kReadyLimit) return {failures > 0, "is not ready within a second"};
  if (!lie) audit(site.kv(), site.buffer());
  if (!site.buffer().unpark(std::nullopt)) return {failures > 0, "does not unpark"};
  return {failures > 0, wrong_with(found_in(site.buffer()), books)};
}

uint64_t operations_of_the_work() {
  Site site({});
  Books books;
  if (!work(site, books)) FAIL(site.why());
  return site.fs().operations();
}

}  // namespace

TEST_CASE("whenever the power is cut, what was accepted is there", "[es1 I1][es1 I3][es1 I4]") {
  const Kept kept = GENERATE(Kept::nothing, Kept::prefix, Kept::torn);
  const uint64_t total = operations_of_the_work();
  REQUIRE(total > 200);
  uint64_t cuts = 0;
  in_stride(total, kShortRun, [&](uint64_t n) {
    const Outcome outcome = cut_at(n, kept);
    cuts += outcome.cut;
    INFO("power cut at operation " << n << " of about " << total << ", kept: " << int(kept));
    REQUIRE(outcome.wrong == "");
  });
  CHECK(cuts > 20);
  WARN(cuts << " power cuts within " << total << " operations");
}

TEST_CASE("whichever operation of the disk fails, the site goes on and what was accepted is there",
          "[es1 5.7][es1 I1]") {
  using Fault = PowerCutFs::Fault;
  const Fault fault = GENERATE(Fault::error, Fault::sync_loses, Fault::short_write, Fault::full);
  const uint64_t total = operations_of_the_work();
  uint64_t met = 0;
  const uint64_t tried = in_stride(total, kShortFaults, [&](uint64_t n) {
    const Outcome outcome = fault_at(n, fault, Kept(n % 3));
    met += outcome.cut;
    INFO("fault " << int(fault) << " at operation " << n << " of about " << total);
    REQUIRE(outcome.wrong == "");
  });
  CHECK(met * 2 > tried);
  WARN(tried << " faults of kind " << int(fault) << ", " << met << " met by the writer");
}

TEST_CASE("without the sync the same test sees records lost", "[control]") {
  const uint64_t total = operations_of_the_work();
  uint64_t losses = 0, cuts = 0;
  for (uint64_t n = total / 8; n < total / 2; n += total / 96) {
    const Outcome outcome = cut_at(n, Kept::nothing, Lie::no_sync);
    cuts += outcome.cut;
    losses += outcome.wrong.starts_with("lost: ");
  }
  CHECK(cuts > 0);
  CHECK(losses > 0);
}

TEST_CASE("a site that takes a failed write for a good one is seen to lose records", "[control]") {
  using Fault = PowerCutFs::Fault;
  const Fault fault = GENERATE(Fault::error, Fault::sync_loses, Fault::short_write, Fault::full);
  const uint64_t total = operations_of_the_work();
  uint64_t wrong = 0;
  for (uint64_t n = total / 8; n < total / 2; n += total / 24)
    wrong += !fault_at(n, fault, Kept::nothing, Lie::never_fails).wrong.empty();
  CHECK(wrong > 0);
}
