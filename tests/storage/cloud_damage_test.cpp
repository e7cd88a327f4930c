// The region's folder damaged at one place, in thousands of ways: it refuses to start and says why,
// or what it serves is what was committed and `verify` names the rest. It may have gone back in
// time, then its ledger says so, and each site finds out by its digests.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <map>

#include "cloud/access.h"
#include "cloud/block_reader.h"
#include "cloud/verify.h"
#include "tests/storage/damage_trials.h"
#include "tests/storage/storage_main.h"
#include "tests/unit/cloud/reconciler_rig.h"

using namespace egret;
using namespace egret::cloud;
using namespace egret::test;
namespace fs = std::filesystem;

namespace {

constexpr uint64_t kRuns = 5, kGroupsOfARun = 25, kStreams = 3;

// All that is ever committed, by number: the same in every process.
struct History {
  struct Block {
    StreamKey key;
    Seq first, last;
    std::vector<Bytes> records;
    std::vector<Hash> leaves;
    Hash c{};  // after it
  };
  std::vector<std::vector<Block>> groups;  // committed together

  explicit History(uint64_t count) {
    SeededEntropy entropy(5);
    std::map<StreamKey, std::pair<Seq, Hash>> ends;
    for (uint64_t g = 0, made = 0; g < count; ++g) {
      auto& group = groups.emplace_back();
      for (uint64_t s = 0; s <= entropy.below(kStreams); ++s) {
        const StreamKey key{{1 + s}, StreamId::result};
        auto& [w, c] = ends.try_emplace(key, Seq{}, chain_start(kFac, key)).first->second;
        Block block{key, w.next(), {}, {}, {}, {}};
        for (uint64_t n = 1 + entropy.below(12); n > 0; --n)
          block.records.push_back(record_of(++made));
        for (const Bytes& record : block.records) block.leaves.push_back(leaf_of(record));
        block.c = c = chain_extend(c, block.first, uint32_t(block.records.size()), block.leaves);
        block.last = w = w + block.records.size();
        group.push_back(std::move(block));
      }
    }
  }
};

bool commit(OpenedStore& opened, const std::vector<History::Block>& group) {
  auto txn = opened.store->begin();
  FacilityRow facility = txn->facility(kFac).value().value_or(FacilityRow{});
  for (const History::Block& block : group) {
    const auto old = txn->row(kFac, block.key).value();
    LedgerRow row = old.value_or(LedgerRow{{}, chain_start(kFac, block.key)});
    const Seq before = row.w;
    const Hash c_before = row.c;
    if (before.next() != block.first) return false;
    std::vector<JudgedRecord> judged;
    for (const Bytes& record : block.records) {
      judged.push_back(
          {record, check_body(split_record(record)->body, kFac)->key, QuarantineReason::none, ""});
    }
    row.w = block.last;
    row.c = block.c;
    if (!txn->add_blocks(kFac, block.key,
                         std::array{JudgedBlock{block.first, judged, block.leaves, row.c}}, {1}))
      return false;
    if (!txn->advance(kFac, block.key, before, c_before, row).value()) return false;
    facility.records += block.records.size();
  }
  txn->put(kFac, facility);
  return opened.store->commit(std::move(txn)) == CommitResult::committed;
}

// Each run leaves its log as tables to the next.
std::string found(const fs::path& state) {
  const History history(kRuns * kGroupsOfARun);
  SeededEntropy entropy(1);
  for (uint64_t run = 0; run < kRuns; ++run) {
    auto opened = run == 0 ? found_store(store_dir(state), entropy)
                           : open_to_write(store_dir(state), entropy);
    if (!opened) return opened.error().text;
    for (uint64_t g = 0; g < kGroupsOfARun; ++g) {
      if (!commit(*opened, history.groups[run * kGroupsOfARun + g])) return "a commit failed";
    }
  }
  return "ok";
}

bool names(const Verdict& verdict, StreamKey key, Seq seq) {
  for (const Finding& f : verdict.findings) {
    const bool whole = f.key.epoch.value == 0 || f.first.value == 0;
    if (whole || (f.key == key && f.first <= seq && seq <= f.last)) return true;
  }
  return false;
}

struct Served {
  uint64_t right = 0, refused = 0, gone_back = 0;
  std::string wrong;
};

// What is served of a block: as it was committed, or an error that verify knows of.
void serve(const OpenedStore& opened, const Verdict& verdict, const History::Block& block,
           Served& served) {
  const auto row = opened.store->begin()->row(kFac, block.key);
  if (!row) {
    served.refused += block.records.size();
    if (!names(verdict, block.key, block.first))
      served.wrong = "a row cannot be read and verify says nothing";
    return;
  }
  if (!*row || (*row)->w < block.last) {
    served.gone_back += block.records.size();
    if (*row && (*row)->w >= block.first) served.wrong = "W stands within a block";
    return;
  }
  BlockReader reader(*opened.kv);
  const auto entries = reader.block(kFac, block.key, block.first);
  for (size_t i = 0; i < block.records.size(); ++i) {
    const Seq seq = block.first + i;
    const auto record = entries && i < entries->size()
                            ? reader.whole(kFac, (*entries)[i])
                            : Result<ReadRecord>(Error{Errc::corrupt, ""});
    if (record && record->record != block.records[i])
      served.wrong = fmt::format("{} is served with other bytes", seq.value);
    served.right += record.has_value();
    served.refused += !record;
    if (!record && !names(verdict, block.key, seq))
      served.wrong = fmt::format("{} cannot be read and verify says nothing", seq.value);
  }
  if ((*row)->w == block.last && (*row)->c != block.c && verdict.wrong == 0)
    served.wrong = "W stands with another digest";
}

Served serve_all(const OpenedStore& opened, const History& history, const Verdict& verdict) {
  Served served;
  for (const auto& group : history.groups) {
    for (const History::Block& block : group) serve(opened, verdict, block, served);
  }
  return served;
}

// As the service starts on it, serves from it and goes on with it. The first word is the outcome.
std::string after(const fs::path& state) {
  const History history(kRuns * kGroupsOfARun);
  SeededEntropy entropy(9);
  auto opened = open_to_write(store_dir(state), entropy);
  if (!opened) {
    const Error& error = opened.error();
    const bool clear = error.text.find(store_dir(state).string()) != std::string::npos ||
                       error.text.find("restore") != std::string::npos;
    return clear ? "refused: " + error.text
                 : "WRONG: it refuses and does not say what to do: " + error.text;
  }
  const auto verdict = verify(*opened->kv, nullptr);
  if (!verdict) return "named: " + verdict.error().text;
  const Served served = serve_all(*opened, history, *verdict);
  const std::string first = verdict->wrong > 0 ? text_of(verdict->findings.front()) : "";
  if (!served.wrong.empty()) return "WRONG: " + served.wrong + "; verify: " + first;
  if (served.gone_back == 0 && verdict->wrong == 0 && verdict->digest_records != served.right)
    return "WRONG: another number of records";
  const char* what = verdict->wrong > 0 ? "named" : served.gone_back > 0 ? "went back" : "whole";
  return fmt::format("{}: {} right, {} not readable, {} gone back, {} findings: {}", what,
                     served.right, served.refused, served.gone_back, verdict->wrong, first);
}

}  // namespace

TEST_CASE(
    "whatever is damaged in a region's folder, it serves what was committed and names the rest",
    "[verify]") {
  run({"", found, after, "", long_run ? kLongDamageRun : kShortDamageRun});
}
