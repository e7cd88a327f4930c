// The power of the region fails at any moment: what was said to be committed is there, whole, and
// nothing else is half there. The same test with the syncs left out must lose something, or it
// proves nothing.
#include <rocksdb/env.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "cloud/store_kv.h"
#include "cloud/verify.h"
#include "schemas/chain.h"
#include "schemas/kv_rocksdb.h"
#include "schemas/record.pb.h"
#include "tests/sim/seeded_entropy.h"
#include "tests/storage/in_stride.h"
#include "tests/storage/lying_kv.h"
#include "tests/storage/power_cut_fs.h"
#include "tests/storage/storage_main.h"

using namespace egret;
using namespace egret::cloud;
using test::PowerCutFs;
using test::LyingKv;
using Kept = PowerCutFs::Kept;
using Fault = PowerCutFs::Fault;
using Lie = LyingKv::Lie;
namespace fs = std::filesystem;

namespace {

constexpr const char* kFac = "clinic-1";
constexpr size_t kStreams = 3;
constexpr uint64_t kSeeds = 6;  // in CI
constexpr int kCuts = 12;       // a seed
constexpr int kRuns = 3, kGroupsOfARun = 14;     // the fixed work
constexpr uint64_t kTornLists = 3;               // seeds in CI
constexpr uint64_t kListSyncs = 20;              // of an opening and what comes after
constexpr int kTries = 60;                       // of a full disk each takes one of its operations, or more
constexpr std::chrono::seconds kShortRun{2};     // a way of losing, in CI
constexpr std::chrono::seconds kShortFaults{2};  // a kind of fault
constexpr std::chrono::milliseconds kReadyLimit{1000};

struct TempDir {
  fs::path path;
  TempDir() {
    std::string name = (fs::temp_directory_path() / "egret-cut-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
    fs::create_directory(path / "attic");
  }
  ~TempDir() { fs::remove_all(path); }
};

Bytes record_of(uint64_t n, Entropy& entropy) {
  v1::Body body;
  body.set_sens(1);
  body.add_purpose(v1::PURPOSE_QUALITY);
  v1::AgentEvent* event = body.mutable_agent_event();
  Bytes boot(16, '\0');
  entropy.fill(reinterpret_cast<uint8_t*>(boot.data()), boot.size());
  event->set_boot_id(boot);
  event->set_counter(n);
  event->set_name("power.cut");
  event->set_severity(v1::AgentEvent::SEVERITY_INFO);
  event->mutable_t()->set_us(1'700'000'000'000'000);
  v1::Arrival arrival;
  arrival.set_wall_us(1'700'000'000'000'000);
  return join_record(make_body(body, kFac).value().bytes, encode_arrival(arrival).value()).value();
}

// What the region has said, and what a store that lost its power must therefore still know.
struct Ledger {
  std::map<StreamKey, LedgerRow> said;
  std::vector<Bytes> natural_keys;  // of records whose commit was confirmed
};

class Region {
 public:
  explicit Region(uint64_t seed, std::optional<Lie> lie = {}) : lie_(lie), entropy_(seed) {
    options_.dir = dir_.path / "store";
    options_.spaces = kCloudSpaces;
    options_.memtable_bytes = 64 << 10;  // tables, manifests and new logs are written while it runs
    options_.log_bytes_max = 256 << 10;
    options_.lookup_spaces = {kNaturalSpace};
    options_.env = env_.get();
  }
  ~Region() { close(); }

  // Commits until the power fails, brings it back and looks. Empty: all is there.
  std::string live_and_look() {
    disk_->cut_at(1 + entropy_.below(400));
    return live_until_cut(Kept(entropy_.below(3)));
  }
  // The same at a sync of the list of files: of a new one, of what a flush or a compaction has changed in it.
  std::string live_until_list_is_torn() {
    disk_->cut_at_sync_of("MANIFEST", 1 + entropy_.below(kListSyncs));
    return live_until_cut(Kept::torn);
  }

  PowerCutFs& disk() { return *disk_; }
  // The fixed work: three runs. False at the first operation that fails, as a process that dies of it.
  bool work() {
    bool done = true;
    for (; done && runs_ < kRuns; runs_ += done) {
      done = open();
      for (int i = 0; done && i < kGroupsOfARun; ++i) done = commit();
      close();
    }
    return done;
  }
  // The power fails (again) and comes back. Empty: all is there, and in time.
  std::string look_after(Kept kept) {
    disk_->power_back(kept, entropy_);
    disk_->fail_at(~uint64_t{0} / 2, Fault::error);  // one that the work has not met any more
    const auto start = std::chrono::steady_clock::now();
    if (!open()) return why_;
    const bool late = std::chrono::steady_clock::now() - start > kReadyLimit;
    std::string wrong = look();
    close();
    return wrong.empty() && late ? "it is not ready within a second" : wrong;
  }
  const std::string& why() const { return why_; }
  uint64_t committed() const { return ledger_.natural_keys.size(); }

 private:
  bool open() {
    auto kv = open_rocksdb(options_);
    if (kv) {
      kv_ = lie_ ? std::make_unique<LyingKv>(std::move(*kv), *lie_) : std::move(*kv);
      auto store = open_store(*kv_, entropy_);
      if (store) {
        store_ = std::move(*store);
        return true;
      }
      why_ = "the store does not open: " + store.error().text;
    } else {
      why_ = "the files do not open: " + kv.error().text;
    }
    return false;
  }

  void close() {
    store_.reset();
    kv_.reset();
  }

  std::string live_until_cut(Kept kept) {
    if (open()) {
      while (!disk_->off() && commit()) {
      }
    }
    close();
    disk_->power_back(kept, entropy_);
    if (!open()) return why_;
    std::string wrong = look();
    close();
    return wrong;
  }

  // One group: a block in one to three streams.
  bool commit() {
    auto txn = store_->begin();
    Ledger next = ledger_;
    for (size_t i = 0; i <= entropy_.below(kStreams); ++i)
      append(*txn, {{1 + i}, StreamId::result}, next);
    if (store_->commit(std::move(txn)) != CommitResult::committed) return false;
    ledger_ = std::move(next);
    return true;
  }

  void append(Txn& txn, StreamKey key, Ledger& next) {
    const auto old = txn.row(kFac, key).value();
    LedgerRow row = old.value_or(LedgerRow{{}, chain_start(kFac, key)});
    const Seq before = row.w;
    const Hash c_before = row.c;
    std::vector<Bytes> records;
    std::vector<JudgedRecord> judged;
    std::vector<Hash> leaves;
    for (size_t i = 0; i <= entropy_.below(20); ++i)
      records.push_back(record_of(++made_, entropy_));
    for (const Bytes& record : records) {
      judged.push_back(
          {record, check_body(split_record(record)->body, kFac)->key, QuarantineReason::none, ""});
      leaves.push_back(leaf_of(record));
      next.natural_keys.push_back(natural_key(kFac, judged.back().key));
    }
    row.w = before + records.size();
    row.c = chain_extend(row.c, before.next(), uint32_t(records.size()), leaves);
    REQUIRE(txn.add_blocks(kFac, key, std::array{JudgedBlock{before.next(), judged, leaves, row.c}}, {1}).has_value());
    REQUIRE(txn.advance(kFac, key, before, c_before, row).value());
    FacilityRow facility = txn.facility(kFac).value().value_or(FacilityRow{});
    facility.records += records.size();
    txn.put(kFac, facility);
    next.said[key] = row;
  }

  std::string look() {
    auto txn = store_->begin();
    for (const auto& [key, said] : ledger_.said) {
      const auto row = txn->row(kFac, key);
      if (!row || !*row || (*row)->w < said.w) return "a watermark that was said has fallen";
      if (const auto c = txn->c_at(kFac, key, said.w); !c || *c != said.c)
        return "history below a watermark has changed";
    }
    for (const Bytes& natural : ledger_.natural_keys) {
      const auto at = kv_->get(kNaturalSpace, natural);
      if (!at || !*at) return "a record whose commit was confirmed is gone";
    }
    const auto verdict = verify(*kv_, nullptr);
    if (!verdict) return verdict.error().text;
    return verdict->wrong == 0 ? "" : text_of(verdict->findings.front());
  }

  TempDir dir_;
  std::shared_ptr<PowerCutFs> disk_ = std::make_shared<PowerCutFs>(dir_.path / "attic");
  std::unique_ptr<rocksdb::Env> env_ = test::env_over(disk_);
  const std::optional<Lie> lie_;
  SeededEntropy entropy_;
  KvOptions options_;
  std::unique_ptr<Kv> kv_;
  std::unique_ptr<KvStore> store_;
  Ledger ledger_;
  uint64_t made_ = 0;
  int runs_ = 0;
  std::string why_;
};

constexpr uint64_t kWorkSeed = 7;

uint64_t operations_of_the_work() {
  Region region(kWorkSeed);
  if (!region.work()) FAIL(region.why());
  return region.disk().operations();
}

struct Outcome {
  bool met = false;  // the work has met the cut, or the fault
  std::string wrong;
};

Outcome cut_at(uint64_t n, Kept kept) {
  Region region(kWorkSeed);
  region.disk().cut_at(n);
  region.work();
  const bool met = region.disk().off();
  return {met, region.look_after(kept)};
}

// The power stays on: the service dies of the fault, comes back and goes on. Then the power fails: what the fault has lost
// on the quiet is seen.
Outcome fault_at(uint64_t n, Fault fault, Kept kept, std::optional<Lie> lie = {}) {
  Region region(kWorkSeed, lie);
  region.disk().fail_at(n, fault);
  bool met = false, done = false;
  for (int tries = 0; !done && tries < kTries; ++tries) {
    done = region.work();
    met = met || !done;
  }
  if (!done) return {true, "does not resume: " + region.why()};
  return {met, region.look_after(kept)};
}

}  // namespace

TEST_CASE("at whichever operation the power is cut, what was committed is there, proven and ready in time",
          "[es1 I1][es1 I3][es1 I4]") {
  const Kept kept = GENERATE(Kept::nothing, Kept::prefix, Kept::torn);
  const uint64_t total = operations_of_the_work();
  REQUIRE(total > 200);
  uint64_t met = 0;
  const uint64_t tried = test::in_stride(total, kShortRun, [&](uint64_t n) {
    const Outcome outcome = cut_at(n, kept);
    met += outcome.met;
    INFO("power cut at operation " << n << " of about " << total << ", kept: " << int(kept));
    REQUIRE(outcome.wrong == "");
  });
  CHECK(met * 2 > tried);
  WARN(met << " power cuts within " << total << " operations");
}

TEST_CASE("whichever operation of the disk fails, the region comes back and what was committed is there",
          "[es1 I1][es1 I3][es1 I4]") {
  const Fault fault = GENERATE(Fault::error, Fault::sync_loses, Fault::short_write, Fault::full);
  const uint64_t total = operations_of_the_work();
  uint64_t met = 0;
  const uint64_t tried = test::in_stride(total, kShortFaults, [&](uint64_t n) {
    const Outcome outcome = fault_at(n, fault, Kept(n % 3));
    met += outcome.met;
    INFO("fault " << int(fault) << " at operation " << n << " of about " << total);
    REQUIRE(outcome.wrong == "");
  });
  CHECK(met * 2 > tried);
  WARN(tried << " faults of kind " << int(fault) << ", " << met << " met by the writer");
}

TEST_CASE("a region that takes a failed commit for a good one is seen to lose it", "[control]") {
  const Fault fault = GENERATE(Fault::error, Fault::sync_loses, Fault::short_write, Fault::full);
  const uint64_t total = operations_of_the_work();
  uint64_t wrong = 0;
  for (uint64_t n = total / 8; n < total; n += total / 24)
    wrong += !fault_at(n, fault, Kept::nothing, Lie::never_fails).wrong.empty();
  CHECK(wrong > 0);
}

TEST_CASE(
    "after a power cut everything that was committed is there, whole, and nothing is half there") {
  uint64_t committed = 0;
  const char* only = std::getenv("EGRET_CUT_SEED");  // repeats one
  const uint64_t first = only ? std::stoull(only) : 1, last = only ? first : test::long_run ? 200 : kSeeds;
  for (uint64_t seed = first; seed <= last; ++seed) {
    Region region(seed);
    for (int cut = 1; cut <= kCuts; ++cut) {
      INFO("seed " << seed << ", cut " << cut);
      REQUIRE(region.live_and_look() == "");
    }
    committed += region.committed();
  }
  CHECK((only || committed > 500));  // the cuts met a store at work
}

// RocksDB takes a zeroed sector there for damage, and refuses the store (found by seed 74).
TEST_CASE("whichever sync of the list of files meets the power cut, its torn end costs the region nothing", "[es1 I1][es1 I3]") {
  const uint64_t seeds = test::long_run ? 60 : kTornLists;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    Region region(seed);
    for (int cut = 1; cut <= kCuts; ++cut) {
      INFO("seed " << seed << ", cut " << cut);
      CHECK(region.live_until_list_is_torn() == "");
    }
  }
}

TEST_CASE("without the syncs the same cuts lose something: the test can fail") {
  size_t lost = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Region region(seed, Lie::no_sync);
    std::string wrong;
    for (int cut = 1; cut <= kCuts && wrong.empty(); ++cut) wrong = region.live_and_look();
    lost += !wrong.empty();
  }
  CHECK(lost >= kSeeds / 2);
}
