// A site's folder damaged at one place, in thousands of ways: the agent starts, takes records in,
// and everything it had accepted is in the region or named there by a gap or an incident. Nothing
// wrong arrives, nothing stops it, nothing goes round in circles (es1 5.7).
#include <fmt/format.h>
#include <rocksdb/write_batch.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "edge/block.h"
#include "schemas/chain.h"
#include "schemas/kv_wal.h"
#include "schemas/record.h"
#include "tests/storage/damage_trials.h"
#include "tests/storage/site.h"
#include "tests/storage/storage_main.h"

using namespace egret;
using namespace egret::test;
namespace fs = std::filesystem;

namespace {

constexpr int64_t kMinute = 60'000;
constexpr int64_t kOutOfStep = 7;  // looks between the heartbeats, not at them
constexpr uint8_t kRunAfter = 100;  // names the sessions after the damage

// In a trial: Catch's own checks belong to the process that tests.
void must(bool holds) {
  if (!holds) throw std::runtime_error("the site before the damage is not as it should be");
}

// One record that got its 2xx, and the place it was given.
struct Known {
  StreamKey key;
  Seq seq;
  Bytes record;
};
using Books = std::vector<Known>;

Bytes event_of(uint64_t n, size_t detail_bytes) {
  SeededEntropy entropy(n);
  std::string detail;
  while (detail.size() < detail_bytes) detail.push_back(static_cast<char>('a' + entropy.below(26)));
  return cloud::record_of(n, cloud::kFac, detail);
}

// What producers hand in, in the rhythm of a small clinic; every accepted record is written into
// the books.
class Producers {
 public:
  explicit Producers(uint64_t first) : next_(first) {}
  bool post(Site& site, StreamId lane, size_t bytes) {
    Known known{{{}, lane}, {}, event_of(next_++, bytes)};
    if (!site.accept(lane, known.record)) return false;
    known.key.epoch = site.places().front().epoch;
    known.seq = site.places().front().seq;
    books.push_back(std::move(known));
    return true;
  }
  void work(Site& site, int rounds) {
    for (int i = 0; i < rounds; ++i) {
      must(post(site, StreamId::critical, 80));
      for (int k = 0; k < 3; ++k) must(post(site, StreamId::result, 300));
      for (int k = 0; k < 3; ++k) must(post(site, StreamId::telemetry, 120));
      must(post(site, StreamId::bulk, 500));
      site.live(1000);
    }
  }
  Books books;

 private:
  uint64_t next_;
};

void keep(const Books& books, const fs::path& file) {
  Bytes out;
  for (const Known& k : books) {
    put_u64(out, k.key.epoch.value);
    out.push_back(static_cast<char>(k.key.stream));
    put_u64(out, k.seq.value);
    put_u32(out, static_cast<uint32_t>(k.record.size()));
    out += k.record;
  }
  std::ofstream(file, std::ios::binary) << out;
}

Bytes read_file(const fs::path& file) {
  std::stringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

Books read_books(const fs::path& file) {
  const Bytes all = read_file(file);
  Books books;
  for (size_t at = 0; at < all.size();) {
    Known k{{{get_u64(all, at)}, StreamId(all[at + 8])}, {get_u64(all, at + 9)}, {}};
    const uint32_t size = get_u32(all, at + 17);
    k.record = all.substr(at + 21, size);
    at += 21 + size;
    books.push_back(std::move(k));
  }
  return books;
}

// A site's life up to the damage: a finished run; one of which some is shed and a block parked; one
// of which some is acknowledged; one more. All that is held is claimed, so the region misses what
// is gone; or, `offline`, the last two runs never met it, and the site must say itself what it has
// lost.
std::string found(const fs::path& dir, bool offline) {
  Region region;
  Producers producers(1);
  uint8_t run = 1;
  const auto live = [&](const std::function<void(Site&)>& what) {
    Site site(dir / "state", region, run);
    must(site.start());
    what(site);
    run += 10;
  };
  live([&](Site& site) {
    producers.work(site, 12);
    site.live(20 * kMinute);
  });
  live([&](Site& site) {
    site.lanes_open = false;
    producers.work(site, 15);
    must(site.buffer().shed_oldest([](EpochId) { return Seq{}; }).value() > 0);
    const StreamKey key{site.buffer().view().current, StreamId::result};
    must(site.buffer().park(key, {4}, GapReason::undecodable).has_value());
  });
  live([&](Site& site) {
    producers.work(site, 5);
    site.lanes_open = false;
    producers.work(site, 15);
  });
  live([&](Site& site) {
    site.link_up = !offline;
    site.lanes_open = false;
    producers.work(site, 8);
  });
  live([&](Site& site) {
    site.link_up = !offline;
    site.lanes_open = false;
    producers.work(site, 15);
    site.live(20 * kMinute);
  });
  region.keep(dir / "region");
  keep(producers.books, dir / "books");
  fs::copy(dir / "state", dir / "before", fs::copy_options::recursive);
  return "ok";
}

// ---- after the damage ----

// The records of the blocks in a write batch.
class RecordsIn final : public rocksdb::WriteBatch::Handler {
 public:
  explicit RecordsIn(std::set<Bytes>& records) : records_(records) {}
  rocksdb::Status PutCF(uint32_t, const rocksdb::Slice&, const rocksdb::Slice& value) override {
    bool whole = true;
    if (const auto open = edge::open_block({value.data(), value.size()})) {
      for (ByteView record : split_records(open->raw, whole)) records_.emplace(record);
    }
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteCF(uint32_t, const rocksdb::Slice&) override {
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteRangeCF(uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return rocksdb::Status::OK();
  }

 private:
  std::set<Bytes>& records_;
};

// Whose own bytes in a log were damaged: these alone may be gone without a word of the store's.
std::set<Bytes> struck_in_logs(const fs::path& before, const fs::path& damaged) {
  std::set<Bytes> struck;
  RecordsIn records(struck);
  for (const auto& entry : fs::directory_iterator(before)) {
    if (entry.path().extension() != ".log") continue;
    const Bytes was = read_file(entry.path()), is = read_file(damaged / entry.path().filename());
    for (const LogRecord& r : whole_records(was)) {
      const size_t size = r.end - r.begin;
      if (is.size() >= r.end && is.compare(r.begin, size, was, r.begin, size) == 0) continue;
      must(rocksdb::WriteBatch(r.bytes).Iterate(&records).ok());
    }
  }
  return struck;
}

struct Fates {
  struct Nowhere {  // neither applied nor named at the number they were given
    uint64_t all = 0, struck = 0;
  };
  uint64_t applied = 0, gaps = 0, incidents = 0;
  std::map<StreamId, Nowhere> nowhere;
};

Fates fates_of(const Books& books, Region& region, const std::set<Bytes>& struck) {
  Fates fates;
  for (const Known& known : books) {
    switch (region.fate(known.key, known.seq, known.record)) {
      case Region::Fate::applied:
        ++fates.applied;
        break;
      case Region::Fate::gap:
        ++fates.gaps;
        break;
      case Region::Fate::incident:
        ++fates.incidents;
        break;
      case Region::Fate::unknown:
        ++fates.nowhere[known.key.stream].all;
        fates.nowhere[known.key.stream].struck += struck.contains(known.record);
        break;
    }
  }
  return fates;
}

// Numbers in gaps of a lane, in epochs that the books do not know: ranges of a store that was set
// aside keep their length and get other numbers.
std::map<StreamId, uint64_t> moved_gaps(const Books& books, Region& region) {
  std::set<EpochId> known;
  for (const Known& k : books) known.insert(k.key.epoch);
  std::map<StreamId, uint64_t> numbers;
  const auto txn = region.rig().store->begin();
  const auto rows = txn->rows(cloud::kFac);
  for (const auto& [key, row] : *rows) {
    if (known.contains(key.epoch)) continue;
    for (const cloud::GapRow& gap : *txn->gaps(cloud::kFac, key, {}, 100'000)) {
      numbers[key.stream] += span(gap.first, gap.last) + 1;
    }
  }
  return numbers;
}

std::string listed(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) all += "\n    " + line;
  return all;
}

// Lives on over the damage and says how it ended: the first word is the outcome.
std::string after(const fs::path& dir) {
  const Books before = read_books(dir / "books");
  const std::set<Bytes> struck = struck_in_logs(dir / "before" / "store", dir / "state" / "store");
  Region region(dir / "region");
  Site site(dir / "state", region, kRunAfter);
  if (!site.start()) return "WRONG: the agent refuses to start: " + site.why();
  Producers producers(1'000'000);
  int refusals = 0;
  for (int i = 0; i < 40; ++i) {
    refusals += !producers.post(site, StreamId(i % 4), 200);
    site.live(1000);
  }
  for (int hour = 0; hour < 4 && !site.settled(); ++hour) {
    for (int minute = 0; minute < 60 && !site.settled(); ++minute)
      site.live(kMinute - kOutOfStep);
  }
  const std::string said = listed(site.notices()) + listed(region.incidents());
  if (refusals > 8) return fmt::format("WRONG: {} of 40 records were refused{}", refusals, said);
  if (!site.settled())
    return "WRONG: does not settle within four hours: " + site.waits_for() + said;

  Books all = before;
  all.insert(all.end(), producers.books.begin(), producers.books.end());
  std::set<Bytes> keys;
  for (const Known& known : all) keys.insert(Region::natural_key_of(known.record));
  if (region.strangers([&](const Bytes& key) { return keys.contains(key); }) != 0)
    return "WRONG: a record that nobody wrote" + said;
  if (const std::string wrong = region.wrong(); !wrong.empty())
    return "WRONG: the region's store: " + wrong + said;

  // Which records a damaged end of a log has held nobody can know who has only the log. That there
  // were more the witness knows.
  const Fates fates = fates_of(all, region, struck);
  auto moved = moved_gaps(before, region);
  bool tail_gone = false;
  for (const auto& [stream, nowhere] : fates.nowhere) {
    const uint64_t named = moved[stream];
    if (nowhere.all <= named) continue;
    tail_gone = true;
    const uint64_t unstruck = nowhere.all - nowhere.struck;
    if (unstruck > named || !site.tail_lost())
      return fmt::format("WRONG: {} records of lane {} are gone ({} of them struck) and {}{}",
                         nowhere.all - named, name_of(stream), nowhere.struck,
                         site.tail_lost() ? "only the witness says so" : "nobody says so", said);
  }
  const bool aside = !site.notices().empty() && site.notices().front().starts_with("set aside");
  if (tail_gone) return "tail lost, and said:" + said;
  const char* what = fates.incidents > 0                         ? "incident"
                     : site.buffer().view().counters.corrupt > 0 ? "gap"
                     : aside                                     ? "rescued whole"
                                                                 : "whole";
  return fmt::format("{}: {} applied, {} in gaps, {} in incidents, {} reopens, tail lost: {}{}",
                     what, fates.applied, fates.gaps, fates.incidents, site.reopens(),
                     site.tail_lost(), said);
}

}  // namespace

TEST_CASE("whatever is damaged in a site's folder, the agent goes on and all is there or named",
          "[es1 5.7]") {
  const bool offline = GENERATE(false, true);
  run({offline ? "offline, " : "greeted, ",
       [offline](const fs::path& dir) { return found(dir, offline); }, after, "state",
       (long_run ? kLongDamageRun : kShortDamageRun) / 2});
}
