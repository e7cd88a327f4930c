#include "edge/kv_options.h"
#include "tests/sim/real/real_twin.h"

#include <sstream>

#include "edge/tables.h"
#include "schemas/kv_rocksdb.h"
#include "tests/sim/seeded_entropy.h"

namespace egret::sim {

using test::PowerCutFs;

namespace {

std::string text_of(const KvBatch& batch) {
  std::string out;
  for (const KvOp& op : batch.ops()) {
    out += fmt::format(" {} {} {} {}", int(op.what), op.space, hex(op.key), op.value.empty() ? "-" : hex(op.value));
  }
  return out;
}

Bytes of_hex(const std::string& text) {
  Bytes out;
  for (size_t i = 0; i + 1 < text.size(); i += 2) out.push_back(static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return out;
}

KvBatch batch_of(std::istream& in) {
  KvBatch batch;
  int what = 0, space = 0;
  std::string key, value;
  while (in >> what >> space >> key >> value) {
    const Space s = static_cast<Space>(space);
    if (KvOp::What(what) == KvOp::What::put) batch.put(s, of_hex(key), value == "-" ? Bytes() : of_hex(value));
    if (KvOp::What(what) == KvOp::What::erase) batch.erase(s, of_hex(key));
    if (KvOp::What(what) == KvOp::What::erase_range) batch.erase_range(s, of_hex(key), of_hex(value));
  }
  return batch;
}

}  // namespace

RealTwin::RealTwin(std::filesystem::path dir, Journal& journal, bool syncs, const std::filesystem::path& trace)
    : dir_(std::move(dir)), journal_(journal), syncs_(syncs), expected_(edge::kEdgeSpaces) {
  std::filesystem::create_directories(dir_);
  fs_ = std::make_shared<PowerCutFs>((dir_ / "attic").string());
  env_ = test::env_over(fs_);
  if (!trace.empty()) trace_.open(trace);
  open();
}

RealTwin::~RealTwin() { kv_.reset(); }

void RealTwin::open() {
  KvOptions options = edge::kv_options(dir_ / "store");
  options.env = env_.get();
  options.memtable_bytes = 16 << 10;  // so that flushes and compactions are among what is cut
  options.memtables_total_bytes = 64 << 10;
  options.log_bytes_max = 32 << 10;
  auto kv = open_rocksdb(options);
  if (!kv) return journal_.fail("I1", "the real store does not open: {}", kv.error().text);
  kv_ = std::move(*kv);
  counts_.reopenings++;
}

void RealTwin::trace(char what, const std::string& text) {
  if (trace_.is_open()) trace_ << what << text << '\n' << std::flush;
}

void RealTwin::wrote(const KvBatch& batch) {
  trace('w', text_of(batch));
  apply(batch);
}

void RealTwin::apply(const KvBatch& batch) {
  if (!kv_) return;
  counts_.writes++;
  (void)expected_.write(batch, true);
  if (const auto written = kv_->write(batch, syncs_); !written) {
    return journal_.fail("I1", "the real store does not take a write: {}", written.error().text);
  }
  for (const KvOp& op : batch.ops()) {
    if (op.what == KvOp::What::erase_range && op.space != edge::kMetaSpace) kv_->reclaim(op.space, op.key, op.value);
  }
  compare("after a write");
}

// All keys of all spaces.
void RealTwin::compare(const char* when) {
  if (!kv_ || journal_.failed()) return;
  counts_.compared++;
  for (Space space = 0; space < edge::kEdgeSpaces; space++) {
    auto it = expected_.table(space).begin();
    const auto end = expected_.table(space).end();
    bool same = true;
    const auto scanned = kv_->scan(space, Bytes(), Bytes(64, '\xff'), [&](ByteView key, ByteView value) {
      same = it != end && it->first == key && *it->second == value;
      if (same) ++it;
      return same;
    });
    if (!scanned || !same || it != end) {
      return journal_.fail("I1", "space {} of the real store is another one than in memory {}", space, when);
    }
  }
}

void RealTwin::read(Space space, ByteView key, const std::optional<Bytes>& value) {
  if (!kv_) return;
  counts_.reads++;
  const auto real = kv_->get(space, key);
  if (!real || *real != value) journal_.fail("I1", "the real store reads another value in space {}", space);
}

void RealTwin::scanned(Space space, ByteView first, ByteView end, bool back, const std::vector<std::pair<Bytes, Bytes>>& seen, bool all) {
  if (!kv_) return;
  counts_.reads++;
  size_t at = 0;
  bool same = true;
  const Kv::Visit visit = [&](ByteView key, ByteView value) {
    same = at < seen.size() && seen[at].first == key && seen[at].second == value;
    at += same;
    return same && (all || at < seen.size());
  };
  const auto done = back ? kv_->scan_back(space, first, end, visit) : kv_->scan(space, first, end, visit);
  if (!done || !same || at != seen.size()) journal_.fail("I1", "the real store scans other values in space {}", space);
}

void RealTwin::power_fails(Entropy& entropy) {
  const uint64_t seed = entropy.next();
  trace('p', fmt::format(" {}", seed));
  cut(seed);
}

void RealTwin::cut(uint64_t seed) {
  SeededEntropy chance(seed);
  counts_.cuts++;
  fs_->cut_at(1);
  kv_.reset();
  fs_->power_back(static_cast<PowerCutFs::Kept>(chance.below(3)), chance);
  open();
  compare("after power failed");
}

void RealTwin::process_ends() {
  trace('e', "");
  kv_.reset();
  open();
  compare("in the next process");
}

// What is another in memory is made the same here, as one write.
void RealTwin::becomes(const KvMemory& disk) {
  KvBatch batch;
  for (Space space = 0; space < edge::kEdgeSpaces; space++) {
    for (const auto& [key, value] : expected_.table(space)) {
      if (!disk.table(space).contains(key)) batch.erase(space, key);
    }
    for (const auto& [key, value] : disk.table(space)) {
      const auto known = expected_.table(space).find(key);
      if (known == expected_.table(space).end() || *known->second != *value) batch.put(space, key, *value);
    }
  }
  if (!batch.empty()) wrote(batch);
}

bool replay(const std::filesystem::path& trace, const std::filesystem::path& dir, Journal& journal) {
  RealTwin twin(dir, journal, true, {});
  std::ifstream in(trace);
  for (std::string line; std::getline(in, line) && !journal.failed();) {
    std::istringstream rest(line.substr(1));
    uint64_t seed = 0;
    if (line[0] == 'w') twin.apply(batch_of(rest));
    if (line[0] == 'p' && rest >> seed) twin.cut(seed);
    if (line[0] == 'e') twin.process_ends();
  }
  return !journal.failed() && twin.counts().writes > 0;
}

}  // namespace egret::sim
