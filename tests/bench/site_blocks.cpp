#include "tests/bench/site_blocks.h"

#include <cstdio>
#include <cstdlib>

#include "schemas/chain.h"
#include "schemas/record.h"

namespace egret::bench {
namespace {

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "bench: %s\n", why.c_str());
  std::exit(74);
}

}  // namespace

SiteBlock judged(std::vector<Bytes> records, const Facility& fac) {
  SiteBlock out;
  out.records = std::move(records);
  for (const Bytes& record : out.records) {
    const auto body = check_body(split_record(record)->body, fac);
    if (!body) fail(body.error().text);
    out.judged.push_back({record, body->key, cloud::QuarantineReason::none, ""});
    out.leaves.push_back(leaf_of(record));
  }
  return out;
}

void append(cloud::Txn& txn, const Facility& fac, std::span<const SiteBlock> blocks, WallTime now) {
  constexpr StreamKey kStream{{1}, StreamId::result};
  const auto row = txn.row(fac, kStream);
  if (!row) fail(row.error().text);
  cloud::LedgerRow at = row->value_or(cloud::LedgerRow{});
  if (!*row) at.c = chain_start(fac, kStream);
  const Seq w = at.w;
  const Hash c = at.c;
  std::vector<cloud::JudgedBlock> judged;
  for (const SiteBlock& b : blocks) {
    const Seq first = at.w.next();
    at.c = chain_extend(at.c, first, static_cast<uint32_t>(b.records.size()), b.leaves);
    at.w = at.w + b.records.size();
    judged.push_back({first, b.judged, b.leaves, at.c});
  }
  at.marks = {{now, at.w}};
  const auto added = txn.add_blocks(fac, kStream, judged, now);
  if (!added) fail(added.error().text);
  const auto moved = txn.advance(fac, kStream, w, c, at);
  if (!moved || !*moved) fail("a ledger row did not move");
}

}  // namespace egret::bench
