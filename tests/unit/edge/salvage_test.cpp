// A store that will not open is not the end of what is in it.
#include "edge/salvage.h"

#include <fstream>
#include <sstream>

#include "schemas/kv_wal.h"
#include "tests/unit/edge/buffer_rig.h"

using namespace egret;
using namespace egret::edge;

namespace {

namespace fs = std::filesystem;

KvOptions options_of(const RocksDisk& disk) {
  return kv_options(disk.dir.path);
}

void overwrite(const fs::path& file, uint64_t at, const std::string& bytes) {
  std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
  out.seekp(std::streamoff(at));
  out << bytes;
}

template <class Do>
void each_file(const fs::path& dir, const std::string& extension, const Do& action) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(dir)) files.push_back(entry.path());
  for (const fs::path& file : files) {
    const std::string name = file.filename().string();
    if (file.extension() == extension || (extension == "MANIFEST" && name.starts_with("MANIFEST")))
      action(file);
  }
}

// Two runs, some purged, some shed, one block parked. `enough` for several tables beside the log.
struct Old {
  Rig<RocksDisk> rig;
  Holdings held;  // the parked block among the records
  explicit Old(bool enough) {
    rig.fill(StreamId::result, 5, 3, "purged");
    const PurgeTo upto{rig.key(StreamId::result), {15}, {6}};
    REQUIRE(rig.buffer->purge(std::span(&upto, 1)));
    rig.fill(StreamId::telemetry, 4, 3, "t");
    REQUIRE(rig.buffer->shed_oldest([](EpochId) { return Seq{}; }).value() == 3);
    rig.reopen();
    rig.fill(StreamId::critical, 2, 1, "c");
    rig.fill(StreamId::result, 3, 3, "r");
    for (int i = 0; enough && i < 400; ++i) {
      SeededEntropy entropy{uint64_t(i)};
      Bytes noise(40'000, '\0');
      entropy.fill(reinterpret_cast<uint8_t*>(noise.data()), noise.size());
      rig.append(StreamId::bulk, {noise});
    }
    held = holdings(*rig.buffer);
    REQUIRE(rig.buffer->park(rig.key(StreamId::result, 1), {4}, GapReason::undecodable));
    rig.buffer.reset();
    rig.disk.kv_.reset();
  }
  const fs::path& dir() const { return rig.disk.dir.path; }
  bool opens() const { return open_rocksdb(options_of(rig.disk)).has_value(); }
};

Result<Salvaged> salvage(const KvOptions& damaged, const Facility& fac, Buffer& into) {
  Result<Salvage> salvage = Salvage::open(damaged, fac);
  if (!salvage) return salvage.error();
  for (size_t left = 1; left > 0;) {
    const Result<size_t> step = salvage->step(into);
    if (!step) return step.error();
    left = *step;
  }
  return salvage->found();
}

struct Fresh {
  KvMemory kv{kEdgeSpaces};
  SeededEntropy entropy{99};
  std::unique_ptr<Buffer> buffer = Buffer::open(kv, kFac, entropy).value();
};

}  // namespace

TEST_CASE("all of a store whose directory of files is damaged is appended again, gaps too",
          "[es1 5.7]") {
  const bool enough = GENERATE(false, true);
  const std::string what = GENERATE("CURRENT", "MANIFEST", "no MANIFEST");
  Old old(enough);
  if (what == "CURRENT") {
    std::ofstream(old.dir() / "CURRENT", std::ios::trunc) << "what is this\n";
  } else {
    each_file(old.dir(), "MANIFEST", [&](const fs::path& file) {
      if (what == "MANIFEST") overwrite(file, 10, std::string(200, 'x'));
      if (what == "no MANIFEST") fs::remove(file);
    });
  }
  INFO(what << ", " << (enough ? "with tables" : "log only"));
  CHECK_FALSE(old.opens());
  Fresh fresh;
  const Result<Salvaged> done = salvage(options_of(old.rig.disk), kFac, *fresh.buffer);
  REQUIRE(done);
  Holdings expected = old.held;
  expected.gaps[GapKind::parked] = 3;  // the place that the parked block had left
  CHECK(holdings(*fresh.buffer) == expected);
  CHECK(done->records == old.held.records.size());
  CHECK(done->unreadable == 0);
  CHECK(fresh.buffer->view().counters.accepted == 0);
  audit(fresh.kv, *fresh.buffer);
}

TEST_CASE("a list of files that names no spaces is made anew, also when a repair left it behind",
          "[es1 5.7]") {
  const bool enough = GENERATE(false, true);
  const bool cut_short = GENERATE(false, true);
  INFO((cut_short ? "a repair was cut short, " : "") << (enough ? "with tables" : "log only"));
  Old old(enough);
  test::TempDir bare;
  KvOptions one_space;
  one_space.dir = bare.path;
  one_space.spaces = 1;
  REQUIRE(open_rocksdb(one_space));
  each_file(old.dir(), "MANIFEST", [](const fs::path& file) { fs::remove(file); });
  each_file(bare.path, "MANIFEST", [&](const fs::path& file) {
    fs::copy_file(file, old.dir() / file.filename());
  });
  fs::copy_file(bare.path / "CURRENT", old.dir() / "CURRENT", fs::copy_options::overwrite_existing);
  const fs::path logs = old.dir().string() + ".logs";
  if (cut_short) {
    fs::create_directory(logs);
    each_file(old.dir(), ".log", [&](const fs::path& log) { fs::rename(log, logs / log.filename()); });
  }
  Fresh fresh;
  const Result<Salvaged> done = salvage(options_of(old.rig.disk), kFac, *fresh.buffer);
  REQUIRE(done);
  CHECK(holdings(*fresh.buffer).records == old.held.records);
  CHECK(done->unreadable == 0);
  CHECK_FALSE(fs::exists(logs));
}

TEST_CASE("a damaged table loses the blocks it held, which are named, and nothing else",
          "[es1 5.7]") {
  Old old(true);
  int damaged = 0;
  each_file(old.dir(), ".sst", [&](const fs::path& file) {
    if (fs::file_size(file) < 1'000'000 || damaged++ > 0) return;
    overwrite(file, fs::file_size(file) / 2, "rotten");
  });
  REQUIRE(damaged > 0);
  Fresh fresh;
  const Result<Salvaged> done = salvage(options_of(old.rig.disk), kFac, *fresh.buffer);
  REQUIRE(done);
  CHECK(done->unreadable == 1);
  const Holdings found = holdings(*fresh.buffer);
  CHECK(found.records.size() == old.held.records.size() - 1);
  CHECK(found.gaps.at(GapKind::corrupt) == 1);
  for (const auto& [record, times] : found.records) CHECK(old.held.records.contains(record));
}

TEST_CASE("a damaged record of the log costs its own block, which is named, and no neighbour",
          "[es1 5.7]") {
  uint64_t blocks_lost = 0;
  for (size_t i = 1;; ++i) {  // not the first, which founds the store
    Old old(false);
    std::optional<LogRecord> struck;
    each_file(old.dir(), ".log", [&](const fs::path& file) {
      std::stringstream log;
      log << std::ifstream(file, std::ios::binary).rdbuf();
      const std::vector<LogRecord> records = whole_records(log.str());
      if (i + 2 >= records.size()) return;  // no head stands behind the last append
      struck = records[i];
      overwrite(file, (struck->begin + struck->end) / 2, "rotten");
    });
    if (!struck) break;
    Fresh fresh;
    const Result<Salvaged> done = salvage(options_of(old.rig.disk), kFac, *fresh.buffer);
    REQUIRE(done);
    const Holdings found = holdings(*fresh.buffer);
    const size_t lost = old.held.records.size() - found.records.size();
    INFO("record " << i << " of the log: " << lost << " records lost");
    CHECK(lost <= 3);
    const auto gap = found.gaps.find(GapKind::corrupt);
    CHECK((gap == found.gaps.end() ? 0 : gap->second) == lost);
    blocks_lost += lost > 0;
  }
  CHECK(blocks_lost >= 2);
}

TEST_CASE("numbers that nothing is left of but the head of their epoch are a gap too", "[es1 5.7]") {
  Old old(false);
  old.rig.disk.reopen();
  KvBatch lost;  // as a damaged record of the log would take them: border and block, in the middle and at the end
  const EpochNo no = 2;
  for (uint64_t first : {1, 7}) {
    lost.erase(kMetaSpace, border_key(no, StreamId::result, {first + 2}));
    lost.erase(block_space(StreamId::result), block_key(no, {first}));
  }
  REQUIRE(old.rig.disk.kv().write(lost, true));
  old.rig.disk.kv_.reset();
  Fresh fresh;
  const Result<Salvaged> done = salvage(options_of(old.rig.disk), kFac, *fresh.buffer);
  REQUIRE(done);
  CHECK(done->unreadable == 2);
  const Holdings found = holdings(*fresh.buffer);
  CHECK(found.records.size() == old.held.records.size() - 6);
  CHECK(found.gaps.at(GapKind::corrupt) == 6);
}

TEST_CASE("a store of another facility is not salvaged", "[es1 5.7]") {
  Old old(false);
  Fresh fresh;
  const Result<Salvaged> done = salvage(options_of(old.rig.disk), "clinic-8", *fresh.buffer);
  REQUIRE_FALSE(done);
  CHECK(done.error().code == Errc::config);
  CHECK(holdings(*fresh.buffer).records.empty());
}
