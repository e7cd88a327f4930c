#include "cloud/kv_pg.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "cloud/pg_batch.h"
#include "cloud/tables.h"

namespace egret::cloud {
namespace {

// One state for all reads, and of two that change a row the second is refused. With the turns of facilities that is
// all that serializable would give, without its predicate locks, which know pages and not facilities.
constexpr const char* kBegin = "BEGIN ISOLATION LEVEL REPEATABLE READ";
constexpr size_t kFirstPage = 32, kPage = 512, kFirstBlocks = 1, kBlocksPage = 64;  // rows; a block has 15 KB and more
constexpr size_t kSeenMax = 65'536;  // keys; whoever reads a whole store in one transaction reads some again
constexpr int kTurnTries = 50;  // each waits until another has ended
constexpr int kLooksAfterWrong = 64;  // a supposition that was wrong cost a transaction; a look costs a third of one
constexpr const char* kThereAlready = "23505";

Bytes seen_key(Space space, ByteView key) {
  Bytes out(1, static_cast<char>(space));
  out.append(key);
  return out;
}

const char* fac_column(const PgTable& table) { return table.by_facility ? "fac" : "''::bytea"; }

// All rows of one facility: the usual range, and one that a single partition holds.
bool whole_facility(const PgRange& range) {
  const auto& [first, end] = range;
  return end && end->k.empty() && end->fac.size() == first.fac.size() + 1 && end->fac.starts_with(first.fac) && end->fac.back() == 1;
}

std::string where_in(const PgTable& table, const PgRange& range, PgParams& params) {
  const auto& [first, end] = range;
  if (table.by_facility) params.bytes(first.fac);
  params.bytes(first.k);
  if (table.by_facility && whole_facility(range)) return "fac = $1 AND k >= $2";
  if (table.by_facility && end && end->fac == first.fac) {
    params.bytes(end->k);
    return "fac = $1 AND k >= $2 AND k < $3";
  }
  if (end && table.by_facility) params.bytes(end->fac);
  if (end) params.bytes(end->k);
  if (table.by_facility) return end ? "(fac, k) >= ($1, $2) AND (fac, k) < ($3, $4)" : "(fac, k) >= ($1, $2)";
  return end ? "k >= $1 AND k < $2" : "k >= $1";
}

// The row that each of several facilities has.
std::string rows_of_facilities(const PgTable& table) {
  return fmt::format("SELECT fac, k, v FROM {} WHERE fac = ANY($1::bytea[]) AND k = ''::bytea", table.name);
}

// The rows under many keys, looked up one by one in the primary key. A server that is left to choose reads all that a
// facility has and sieves it, as long as its statistics believe that this is little.
std::string rows_by_key(const PgTable& table) {
  const char* at = table.by_facility ? "fac = $1 AND t.k = wanted.k" : "k = wanted.k";
  return fmt::format("SELECT {}, k, v FROM (SELECT k, (SELECT v FROM {} AS t WHERE t.{}) AS v FROM unnest({}::bytea[]) AS wanted(k)) AS found WHERE v IS NOT NULL",
                     table.by_facility ? "$1" : "''::bytea", table.name, at, table.by_facility ? "$2" : "$1");
}

// What became of a transaction that ended in COMMIT.
Result<void> outcome_of(const PgReply& reply, bool lost) {
  constexpr const char* kUnknown = "postgres: nobody can tell whether the last commit is there: ";
  if (!reply.failed) {
    if (reply.rows.empty() || reply.rows.back().done() != "COMMIT") return Error{Errc::store_failed, "postgres: a commit was answered with a rollback"};
    if (reply.warned) return Error{Errc::unknown_outcome, fmt::format("{}the server warned, a standby may lack it", kUnknown)};
    return {};
  }
  const auto& [state, error] = *reply.failed;
  // The session ended (57P, 08), its line did, or the server says so itself (40003): COMMIT may have been done before.
  const bool ended = state.empty() || state.starts_with("57P") || state.starts_with("08");
  if ((lost && ended) || state == "40003") return Error{Errc::unknown_outcome, kUnknown + error.text};
  return error;
}

std::vector<ByteView> views_of(const std::vector<Bytes>& values) { return {values.begin(), values.end()}; }

}  // namespace

PgKv::~PgKv() { end(); }

// ---- transactions ----

void PgKv::begin(std::span<const Facility> about) {
  std::lock_guard held(mutex_);
  forget();
  if (looks_ > 0) --looks_;
  open_ = Open::wanted;
  turns_.assign(about.begin(), about.end());
  std::ranges::sort(turns_);
  turns_.erase(std::unique(turns_.begin(), turns_.end()), turns_.end());
}

void PgKv::end() {
  std::lock_guard held(mutex_);
  forget();
}

void PgKv::forget() const {
  if (open_ == Open::yes && !link_->lost()) {
    link_->add("ROLLBACK");
    link_->run();
  }
  open_ = Open::no;
  turns_.clear();
  seen_.clear();
  supposed_.clear();
  broken_.reset();
}

void PgKv::add_turns(const std::vector<Bytes>& facs) const {
  if (facs.empty()) return;
  PgParams params;
  params.each(views_of(facs));
  link_->add("INSERT INTO egret.turn (fac, n) SELECT fac, 1 FROM unnest($1::bytea[]) AS t(fac) "
             "ON CONFLICT (fac) DO UPDATE SET n = turn.n + 1", std::move(params));
}

// Runs what `add` queues in the transaction that is wanted or open, which begins here if it has not yet. Whoever has the
// turn of a facility is waited for; the wait ends in a refusal, after which it is ours to take. The answers are add's own.
PgReply PgKv::run_in_transaction(const std::function<void()>& add) const {
  for (int tries = 1;; ++tries) {
    const bool begins = open_ == Open::wanted;
    const size_t before = !begins ? 0 : turns_.empty() ? 1 : 2;
    if (begins) {
      link_->add(kBegin);
      add_turns(turns_);
    }
    add();
    PgReply reply = link_->run();
    open_ = Open::yes;
    const bool at_turn = begins && before == 2 && reply.failed && reply.rows.size() == 1 && reply.failed->error.code == Errc::conflict;
    if (!at_turn || tries == kTurnTries) {
      reply.rows.erase(reply.rows.begin(), reply.rows.begin() + static_cast<ptrdiff_t>(std::min(before, reply.rows.size())));
      return reply;
    }
    link_->add("ROLLBACK");
    link_->run();
    open_ = Open::wanted;
  }
}

// ---- reading ----

Result<PgRows> PgKv::read(const std::string& sql, PgParams params) const {
  if (open_ == Open::no) return link_->ask(sql.c_str(), std::move(params));
  if (broken_) return *broken_;
  PgReply reply = run_in_transaction([&] { link_->add(sql.c_str(), params); });
  if (!reply.failed && reply.rows.size() == 1) return std::move(reply.rows.front());
  broken_ = reply.failed ? reply.failed->error : Error{Errc::store_failed, "postgres: no answer came for a statement"};
  return *broken_;
}

Result<std::optional<Bytes>> PgKv::get(Space space, ByteView key) const {
  std::lock_guard held(mutex_);
  const Bytes name = seen_key(space, key);
  if (const auto known = seen_.find(name); known != seen_.end()) return known->second;
  if (supposed_.contains(name)) return std::optional<Bytes>();
  const PgTable& table = pg_table(space, key);
  const PgPlace place = place_in(table, key);
  PgParams params;
  if (table.by_facility) params.bytes(place.fac);
  params.bytes(place.k);
  const auto rows = read(fmt::format("SELECT v FROM {} WHERE {}", table.name, table.by_facility ? "fac = $1 AND k = $2" : "k = $1"), std::move(params));
  if (!rows) return rows.error();
  std::optional<Bytes> value;
  if (rows->size() > 0) value = Bytes(rows->at(0, 0));
  if (open_ != Open::no) {
    if (seen_.size() >= kSeenMax) seen_.clear();
    seen_[name] = value;
  }
  return value;
}

// A hint: what goes wrong here goes wrong again where the keys are read.
void PgKv::expect(Space space, std::span<const Bytes> keys) const {
  std::lock_guard held(mutex_);
  if (open_ == Open::no || broken_ || keys.empty()) return;
  if (seen_.size() >= kSeenMax) seen_.clear();
  (void)fetch(space, keys);
}

void PgKv::expect_new(Space space, std::span<const Bytes> keys) const {
  std::unique_lock held(mutex_);
  if (open_ == Open::no || broken_) return;
  if (looks_ > 0 || supposed_.size() + keys.size() > kSeenMax) {
    held.unlock();
    return expect(space, keys);
  }
  for (const Bytes& key : keys) {
    Bytes name = seen_key(space, key);
    if (!seen_.contains(name)) supposed_.insert(std::move(name));
  }
}

// One statement for the keys of one facility, or for the one row that each of several facilities has.
Result<void> PgKv::fetch(Space space, std::span<const Bytes> keys) const {
  std::map<std::pair<const PgTable*, ByteView>, std::vector<ByteView>> wanted;  // by table and facility, or rest
  for (const Bytes& key : keys) {
    const PgTable& table = pg_table(space, key);
    const PgPlace place = place_in(table, key);
    if (!seen_.try_emplace(seen_key(space, key)).second) continue;
    if (place.k.empty()) {
      wanted[{&table, {}}].push_back(place.fac);
    } else {
      wanted[{&table, place.fac}].push_back(place.k);
    }
  }
  if (wanted.empty()) return {};
  PgReply reply = run_in_transaction([&] {
    for (const auto& [at, values] : wanted) {
      const auto& [table, fac] = at;
      PgParams params;
      const bool one_each = table->by_facility && fac.empty();
      if (table->by_facility && !one_each) params.bytes(fac);
      params.each(values);
      link_->add((one_each ? rows_of_facilities(*table) : rows_by_key(*table)).c_str(),
                 std::move(params));
    }
  });
  if (reply.failed || reply.rows.size() != wanted.size()) {
    broken_ = reply.failed ? reply.failed->error : Error{Errc::store_failed, "postgres: no answer came for a statement"};
    seen_.clear();
    return *broken_;
  }
  size_t i = 0;
  for (const auto& [at, values] : wanted) {
    const PgRows& rows = reply.rows[i++];
    for (size_t r = 0; r < rows.size(); ++r) {
      seen_[seen_key(space, name(*at.first, rows.at(r, 0), rows.at(r, 1)))] = Bytes(rows.at(r, 2));
    }
  }
  return {};
}

// One page of the rows of a table from `first` on, or backwards from `end`; `last` becomes the last one's key. False: this
// was the end, or `visit` wants no more.
Result<bool> PgKv::page(const PgTable& table, const PgRange& range, size_t rows, bool back, const Visit& visit, Bytes& last) const {
  PgParams params;
  const std::string where = where_in(table, range, params);
  const char* down = back ? " DESC" : "";
  const std::string order = table.by_facility ? fmt::format("fac{}, k{}", down, down) : fmt::format("k{}", down);
  std::unique_lock held(mutex_);
  auto got = read(fmt::format("SELECT {}, k, v FROM {} WHERE {} ORDER BY {} LIMIT {}", fac_column(table), table.name, where, order, rows), std::move(params));
  held.unlock();
  if (!got) return std::move(got).error();
  for (size_t i = 0; i < got->size(); ++i) {
    last = name(table, got->at(i, 0), got->at(i, 1));
    if (!visit(last, got->at(i, 2))) return false;
  }
  return got->size() == rows;
}

Result<void> PgKv::walk(Space space, ByteView first, ByteView end, bool back, const Visit& visit) const {
  bool stopped = false;
  const Visit watched = [&](ByteView key, ByteView value) { return !(stopped = !visit(key, value)); };
  const auto tables = pg_tables();
  for (size_t i = 0; i < tables.size() && !stopped; ++i) {
    const PgTable& table = tables[back ? tables.size() - 1 - i : i];
    if (table.space != space) continue;
    Bytes from(first), to(end), last;
    const bool blocks = table.space == kBlockSpace;
    for (size_t rows = blocks ? kFirstBlocks : kFirstPage;; rows = blocks ? kBlocksPage : kPage) {
      const auto range = range_in(table, from, to);
      if (!range) break;
      const auto more = page(table, *range, rows, back, watched, last);
      if (!more) return more.error();
      if (!*more) break;
      if (back) to = last;
      if (!back) from = last + '\0';
    }
  }
  return {};
}

Result<void> PgKv::scan(Space space, ByteView first, ByteView end, const Visit& visit) const { return walk(space, first, end, false, visit); }

Result<void> PgKv::scan_back(Space space, ByteView first, ByteView end, const Visit& visit) const { return walk(space, first, end, true, visit); }

uint64_t PgKv::disk_bytes() const {
  std::lock_guard held(mutex_);
  if (open_ != Open::no) return 0;
  const auto rows = link_->ask("SELECT pg_database_size(current_database())::text");
  uint64_t bytes = 0;
  if (rows && rows->size() == 1) std::from_chars(rows->at(0, 0).data(), rows->at(0, 0).data() + rows->at(0, 0).size(), bytes);
  return bytes;
}

// ---- writing ----

Result<void> PgKv::write(const KvBatch& batch, bool) {
  std::lock_guard held(mutex_);
  auto done = broken_ ? Result<void>(*broken_) : batch.empty() ? probe() : commit(batch);
  forget();
  return done;
}

// Could anything be written now?
Result<void> PgKv::probe() {
  if (open_ == Open::yes) return {};
  const auto rows = link_->ask("SELECT pg_is_in_recovery()::text");
  if (!rows) return rows.error();
  if (rows->size() == 1 && rows->at(0, 0) == "false") return {};
  return Error{Errc::store_failed, "postgres: this server is a standby; the store needs the primary"};
}

Result<void> PgKv::commit(const KvBatch& batch) {
  std::vector<Bytes> turns = turns_of(batch);
  if (open_ == Open::no) {
    open_ = Open::wanted;
    turns_ = std::move(turns);
    turns.clear();
  }
  std::erase_if(turns, [&](const Bytes& fac) { return std::ranges::binary_search(turns_, fac); });
  const bool was_lost = link_->lost();
  const PgReply reply = run_in_transaction([&] {
    add_turns(turns);
    add_batch(*link_, batch, [&](Space space, ByteView key) {
      const Bytes name = seen_key(space, key);
      const auto known = seen_.find(name);
      return supposed_.contains(name) || (known != seen_.end() && !known->second);
    });
    link_->add("COMMIT");
  });
  if (was_lost) return reply.failed->error;
  if (!supposed_.empty() && reply.failed && reply.failed->state == kThereAlready) looks_ = kLooksAfterWrong;
  const Result<void> outcome = outcome_of(reply, link_->lost());
  if (outcome || outcome.error().code == Errc::unknown_outcome) open_ = Open::no;
  return outcome;
}

}  // namespace egret::cloud
