// What commits into the store cost beside the least that the same rows can cost. Rounds of both take turns. Prints JSON.
//   PostgreSQL: KvStore over PgKv, as the service runs it, one or several reconcilers at once, against COPY in binary form of the rows that they wrote
//   for the first time, in the same groups, a transaction a group, over as many connections, into tables of the same schema.
//   RocksDB: KvStore over it, as the service runs it, against synced write batches into another one: of the rows that it wrote,
//   and of the records as they came, a key each.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <thread>

#include "cloud/access.h"
#include "cloud/crew.h"
#include "cloud/kv_pg.h"
#include "cloud/store_kv.h"
#include "cloud/store_pg.h"
#include "schemas/entropy.h"
#include "tests/bench/corpus.h"
#include "tests/bench/site_blocks.h"

using namespace egret;
using namespace egret::cloud;

namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kBlockRecords = 100, kGroupBlocks = 8;  // one batch of a site; a block has some 60 KB before it is packed
const WallTime kAt{1'700'000'000'000'000};

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "commit_bench: %s\n", why.c_str());
  std::exit(74);
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values.at(static_cast<size_t>(q * static_cast<double>(values.size() - 1)));
}

// Notes what every write puts, on its way through.
template <class Base>
class Noting : public Base {
 public:
  explicit Noting(std::unique_ptr<Base> below) : below_(std::move(below)) {}
  std::vector<KvBatch> written;

  Result<void> write(const KvBatch& batch, bool sync) override {
    written.push_back(batch);
    return below_->write(batch, sync);
  }
  Result<std::optional<Bytes>> get(Space space, ByteView key) const override { return below_->get(space, key); }
  Result<void> scan(Space space, ByteView first, ByteView end, const Kv::Visit& visit) const override { return below_->scan(space, first, end, visit); }
  Result<void> scan_back(Space space, ByteView first, ByteView end, const Kv::Visit& visit) const override { return below_->scan_back(space, first, end, visit); }
  uint64_t disk_bytes() const override { return below_->disk_bytes(); }
  void reclaim(Space space, ByteView first, ByteView end) override { below_->reclaim(space, first, end); }

 protected:
  const std::unique_ptr<Base> below_;
};
class NotingShared final : public Noting<SharedKv> {
 public:
  using Noting::Noting;
  void begin(std::span<const Facility> about) override { below_->begin(about); }
  void end() override { below_->end(); }
  void expect(Space space, std::span<const Bytes> keys) const override { below_->expect(space, keys); }
  void expect_new(Space space, std::span<const Bytes> keys) const override { below_->expect_new(space, keys); }
};

std::unique_ptr<NotingShared> postgres(const std::string& url) {
  PgOptions options;
  options.url = url;
  auto link = PgLink::connect(options);
  if (!link) fail(link.error().text);
  return std::make_unique<NotingShared>(std::make_unique<PgKv>(std::move(*link)));
}

std::unique_ptr<Kv> rocksdb(const std::filesystem::path& dir) {
  OsEntropy entropy;
  auto opened = found_store(dir, entropy);
  if (!opened) fail(opened.error().text);
  opened->store.reset();
  return std::move(opened->kv);
}

using bench::SiteBlock;
using Group = std::vector<SiteBlock>;

// One reconciler: a store, or a connection to it, and a site of its own.
template <class Stored>
class Committing {
 public:
  Committing(std::unique_ptr<Stored> kv, size_t number, size_t bytes) : site_("clinic-" + std::to_string(number)), corpus_(site_, bytes), kv_(std::move(kv)) {
    auto store = open_store(*kv_, entropy_);
    if (!store) fail(store.error().text);
    store_ = std::move(*store);
  }
  // As the service does it: packed and looked up by two threads.
  void with_helpers() {
    store_->work_with([this](size_t n, const std::function<void(size_t)>& piece) { crew_.each(n, piece); });
  }

  // What the reconciler has judged before the store hears of it: not part of what is measured.
  std::vector<Group> prepare(size_t groups) {
    std::vector<Group> out(groups);
    for (Group& group : out) {
      for (size_t i = 0; i < kGroupBlocks; ++i) group.push_back(block());
    }
    kv_->written.clear();
    return out;
  }
  void run(const std::vector<Group>& groups) {
    for (const Group& group : groups) commit(group);
  }
  const std::vector<KvBatch>& written() const { return kv_->written; }

 private:
  SiteBlock block() {
    std::vector<Bytes> records;
    for (size_t i = 0; i < kBlockRecords; ++i) records.push_back(corpus_.record(next_++));
    return bench::judged(std::move(records), site_);
  }
  void commit(const Group& group) {
    auto txn = store_->begin({&site_, 1});
    txn->suppose_new();
    bench::append(*txn, site_, group, kAt);
    if (store_->commit(std::move(txn)) != CommitResult::committed) fail(store_->last_error().text);
  }

  const Facility site_;
  bench::Corpus corpus_;
  OsEntropy entropy_;
  Crew crew_{1};
  std::unique_ptr<Stored> kv_;
  std::unique_ptr<KvStore> store_;
  uint64_t next_ = 0;
};

using CommittingPg = Committing<NotingShared>;

// The same rows by COPY. Rows that are written again and again (ledger, facility, turn) are left out: COPY cannot.
class Copying {
 public:
  explicit Copying(const std::string& url) : conn_(PQconnectdb(url.c_str()), PQfinish) {
    if (PQstatus(conn_.get()) != CONNECTION_OK) fail(PQerrorMessage(conn_.get()));
  }
  // Tables and their rows as COPY takes them, a transaction.
  using Rows = std::map<const PgTable*, Bytes>;
  static Rows rows_of(const KvBatch& batch) {
    Rows out;
    for (const KvOp& op : batch.ops()) {
      if (op.what != KvOp::What::put || (op.space == kMetaSpace && op.key[0] != 'p')) continue;
      const PgTable& table = pg_table(op.space, op.key);
      const PgPlace place = place_in(table, op.key);
      Bytes& to = out[&table];
      if (to.empty()) to = Bytes("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
      to += Bytes("\0\3", 2);
      for (const ByteView field : {ByteView(place.fac), ByteView(place.k), ByteView(op.value)}) {
        put_u32(to, static_cast<uint32_t>(field.size()));
        to.append(field);
      }
    }
    for (auto& [table, bytes] : out) bytes += "\377\377";
    return out;
  }
  void run(const std::vector<Rows>& transactions) {
    for (const Rows& rows : transactions) {
      say("BEGIN", PGRES_COMMAND_OK);
      for (const auto& [table, bytes] : rows) {
        say("COPY " + std::string(table->name) + " (fac, k, v) FROM STDIN (FORMAT binary)", PGRES_COPY_IN);
        if (PQputCopyData(conn_.get(), bytes.data(), static_cast<int>(bytes.size())) != 1 || PQputCopyEnd(conn_.get(), nullptr) != 1) fail(PQerrorMessage(conn_.get()));
        finish();
      }
      say("COMMIT", PGRES_COMMAND_OK);
    }
  }

 private:
  void say(const std::string& sql, ExecStatusType wanted) {
    PGresult* result = PQexec(conn_.get(), sql.c_str());
    const bool fine = PQresultStatus(result) == wanted;
    PQclear(result);
    if (!fine) fail(sql + ": " + PQerrorMessage(conn_.get()));
  }
  void finish() {
    while (PGresult* result = PQgetResult(conn_.get())) {
      if (PQresultStatus(result) != PGRES_COMMAND_OK) fail(PQerrorMessage(conn_.get()));
      PQclear(result);
    }
  }
  const std::unique_ptr<PGconn, decltype(&PQfinish)> conn_;
};

template <class Work>
double seconds_of(size_t threads, const Work& work) {
  const auto begun = Clock::now();
  std::vector<std::thread> all;
  for (size_t t = 0; t < threads; ++t) all.emplace_back([&, t] { work(t); });
  for (std::thread& t : all) t.join();
  return std::chrono::duration<double>(Clock::now() - begun).count();
}

void measure(const std::string& url, const std::string& copy_url, size_t reconcilers, size_t groups, size_t rounds, size_t bytes, const char* end) {
  std::vector<std::unique_ptr<CommittingPg>> ours;
  std::vector<std::unique_ptr<Copying>> theirs;
  for (size_t r = 0; r < reconcilers; ++r) {
    ours.push_back(std::make_unique<CommittingPg>(postgres(url), 10 * reconcilers + r, bytes));
    ours.back()->with_helpers();
    theirs.push_back(std::make_unique<Copying>(copy_url));
  }
  std::vector<double> rates, copies, ratios;
  for (size_t round = 0; round <= rounds; ++round) {
    std::vector<std::vector<Group>> work;
    for (auto& one : ours) work.push_back(one->prepare(groups));
    const double mine = seconds_of(reconcilers, [&](size_t t) { ours[t]->run(work[t]); });
    std::vector<std::vector<Copying::Rows>> rows(reconcilers);
    for (size_t t = 0; t < reconcilers; ++t) {
      for (const KvBatch& batch : ours[t]->written()) rows[t].push_back(Copying::rows_of(batch));
    }
    const double copied = seconds_of(reconcilers, [&](size_t t) { theirs[t]->run(rows[t]); });
    if (round == 0) continue;  // files and memory are warm from here on
    const double records = static_cast<double>(reconcilers * groups * kGroupBlocks * kBlockRecords);
    rates.push_back(records / mine);
    copies.push_back(records / copied);
    ratios.push_back(copied / mine);
  }
  std::printf("{\"reconcilers\":%zu,\"records_s\":%.0f,\"copy_records_s\":%.0f,\"ratio\":%.3f,\"ratio_min\":%.3f,\"ratio_max\":%.3f}%s", reconcilers, quantile(rates, 0.5),
              quantile(copies, 0.5), quantile(ratios, 0.5), quantile(ratios, 0), quantile(ratios, 1), end);
}

// Records as they came, a key each, a batch a group.
std::vector<KvBatch> plain(const std::vector<Group>& groups, uint64_t& next) {
  std::vector<KvBatch> out(groups.size());
  for (size_t g = 0; g < groups.size(); ++g) {
    for (const SiteBlock& block : groups[g]) {
      for (const Bytes& record : block.records) out[g].put(kBlockSpace, feed_key(++next), record);
    }
  }
  return out;
}

void measure_rocksdb(const std::filesystem::path& dir, size_t groups, size_t rounds, size_t bytes) {
  Committing<Noting<Kv>> ours(std::make_unique<Noting<Kv>>(rocksdb(dir / "ours")), 1, bytes);
  ours.with_helpers();
  const auto rows = rocksdb(dir / "rows"), records = rocksdb(dir / "records");
  const auto write_all = [](Kv& kv, const std::vector<KvBatch>& batches) {
    for (const KvBatch& batch : batches) {
      if (auto written = kv.write(batch, true); !written) fail(written.error().text);
    }
  };
  std::vector<double> rates, of_rows, of_records;
  uint64_t next = 0;
  for (size_t round = 0; round <= rounds; ++round) {
    const std::vector<Group> work = ours.prepare(groups);
    const std::vector<KvBatch> came = plain(work, next);
    const double mine = seconds_of(1, [&](size_t) { ours.run(work); });
    const double as_rows = seconds_of(1, [&](size_t) { write_all(*rows, ours.written()); });
    const double as_records = seconds_of(1, [&](size_t) { write_all(*records, came); });
    if (round == 0) continue;
    rates.push_back(static_cast<double>(groups * kGroupBlocks * kBlockRecords) / mine);
    of_rows.push_back(as_rows / mine);
    of_records.push_back(as_records / mine);
  }
  std::printf("{\"rounds\":%zu,\"bytes\":%zu,\"group\":%zu,\"records_s\":%.0f,\"of_rows\":%.3f,\"of_records\":%.3f,\"of_records_min\":%.3f,\"of_records_max\":%.3f}\n", rounds, bytes,
              kGroupBlocks * kBlockRecords, quantile(rates, 0.5), quantile(of_rows, 0.5), quantile(of_records, 0.5), quantile(of_records, 0), quantile(of_records, 1));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: commit_bench STORE_URL COPY_URL [ROUNDS=5] [GROUPS=20] [BYTES=600]\n"
                         "       commit_bench --rocksdb DIR [ROUNDS=5] [GROUPS=20] [BYTES=600]\n"
                         "Both databases are migrated here; STORE_URL gets a store and is filled, COPY_URL has its tables filled by COPY.\n");
    return 2;
  }
  const auto number = [&](int i, size_t or_else) { return argc > i ? std::strtoull(argv[i], nullptr, 10) : or_else; };
  const size_t rounds = number(3, 5), groups = number(4, 20), bytes = number(5, 600);
  if (std::strcmp(argv[1], "--rocksdb") == 0) return measure_rocksdb(argv[2], groups, rounds, bytes), 0;
  OsEntropy entropy;
  for (const char* url : {argv[1], argv[2]}) {
    PgOptions options;
    options.url = url;
    if (auto made = migrate_postgres(options, entropy, false); !made) fail(made.error().text);
  }
  std::printf("{\"rounds\":%zu,\"bytes\":%zu,\"group\":%zu,\"runs\":[", rounds, bytes, kGroupBlocks * kBlockRecords);
  measure(argv[1], argv[2], 1, groups, rounds, bytes, ",");
  measure(argv[1], argv[2], 3, groups, rounds, bytes, "]}\n");
}
