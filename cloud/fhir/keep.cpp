#include "cloud/fhir/keep.h"

#include <spdlog/fmt/fmt.h>

#include "cloud/fhir/shelf.h"
#include "cloud/own_facility.h"
#include "cloud/safe.h"
#include "schemas/chain.h"
#include "schemas/limits_fhir.h"
#include "schemas/record.pb.h"
#include "schemas/record_document.h"

namespace egret::cloud::fhir {
namespace {

constexpr int64_t kMarksAgeMs = 72LL * 3600 * 1000;

struct NewRecord {
  Bytes bytes;
  NaturalKey key;
};

Result<Bytes> arrival_of(const World& world) {
  v1::Arrival arrival;
  arrival.set_wall_us(world.now.us);
  arrival.set_door(v1::Arrival::DOOR_FHIR);
  arrival.set_edge_id(world.client.substr(0, 64));
  return encode_arrival(arrival);
}

Result<std::vector<NewRecord>> records_of(const World& world, const Changes& changes) {
  const auto arrival = arrival_of(world);
  if (!arrival) return arrival.error();
  std::vector<NewRecord> out;
  const auto add = [&](const NewBody& body) -> Result<void> {
    auto record = join_record(body.bytes, *arrival);
    if (!record) return std::move(record).error();
    out.push_back({std::move(*record), body.key});
    return {};
  };
  for (const NewVersion& version : changes.versions) {
    const std::string text = write_json(version.resource);
    if (text.size() > kFhirResourceBytesMax)
      return Error{Errc::too_large, fmt::format("resource: {} bytes, at most {}", text.size(), kFhirResourceBytesMax)};
    const DocumentFacts facts{kDocumentType, document_name(version.type, version.id, version.version), 4, {v1::PURPOSE_CARE}};
    auto bodies = split_document(text, facts, kRegionFacility);
    if (!bodies) return std::move(bodies).error();
    // In their order: the parts stand behind their document.
    for (const NewBody& body : *bodies) {
      if (auto added = add(body); !added) return std::move(added).error();
    }
  }
  for (const NewBody& statement : changes.statements) {
    if (auto added = add(statement); !added) return std::move(added).error();
  }
  return out;
}

// One block after the other, as an edge makes them.
struct Blocks {
  std::vector<std::vector<JudgedRecord>> judged;
  std::vector<std::vector<Hash>> leaves;
  std::vector<JudgedBlock> blocks;
  Seq w;
  Hash c{};

  Blocks(const Head& head, std::span<const NewRecord> records) : w(head.w), c(head.c) {
    size_t bytes = 0;
    for (const NewRecord& record : records) {
      bytes += record.bytes.size() + kLengthPrefixBytes;
      if (judged.empty() || judged.back().size() == kBlockRecordsMax || bytes > kBlockRawBytesMax) {
        judged.emplace_back();
        leaves.emplace_back();
        bytes = record.bytes.size() + kLengthPrefixBytes;
      }
      JudgedRecord one;
      one.record = record.bytes;
      one.key = record.key;
      judged.back().push_back(std::move(one));
      leaves.back().push_back(leaf_of(record.bytes));
    }
    for (size_t i = 0; i < judged.size(); i++) {
      const Seq first = w.next();
      c = chain_extend(c, first, static_cast<uint32_t>(judged[i].size()), leaves[i]);
      w = w + judged[i].size();
      blocks.push_back({first, judged[i], leaves[i], c});
    }
  }
};

Result<void> count(Txn& txn, const Facility& fac, uint64_t records, WallTime now) {
  const auto registered = txn.registration(fac);
  if (!registered) return registered.error();
  if (*registered && !(*registered)->keys.empty()) return Error{Errc::wrong_facility, "a site is registered under the region's own name; it must be given another"};
  // Without a key nobody can speak as it.
  if (!*registered) txn.put(fac, Registration{});
  const auto stored = txn.facility(fac);
  if (!stored) return stored.error();
  FacilityRow row = stored->value_or(FacilityRow{});
  row.records += records;
  row.last_seen = row.last_progress = now;
  txn.put(fac, row);
  return {};
}

}  // namespace

Result<Head> head_of(World& world) {
  const auto meta = world.store.meta();
  if (!meta) return meta.error();
  const StreamKey key{{meta->gen}, StreamId::result};
  Head out{key.epoch, {}, chain_start(kRegionFacility, key)};
  const auto stored = world.kv.get(kMetaSpace, ledger_key(kRegionFacility, key));
  if (!stored) return stored.error();
  if (!*stored) return out;
  const auto row = decode_ledger(**stored);
  if (!row) return row.error();
  out.w = row->w;
  out.c = row->c;
  return out;
}

Result<void> keep(World& world, const Head& head, const Changes& changes) {
  if (changes.empty()) return {};
  const Facility fac = kRegionFacility;
  const StreamKey key{head.epoch, StreamId::result};
  const auto records = records_of(world, changes);
  if (!records) return records.error();
  const Blocks made(head, *records);
  auto txn = world.store.begin({&fac, 1});
  if (auto counted = count(*txn, fac, records->size(), world.now); !counted) return counted;
  const auto added = txn->add_blocks(fac, key, made.blocks, world.now);
  if (!added) return added.error();
  const auto stored = txn->row(fac, key);
  if (!stored) return stored.error();
  LedgerRow row = stored->value_or(LedgerRow{});
  row.w = row.claimed = made.w;
  row.c = made.c;
  mark_w(row, kMarksAgeMs, world.now);
  const auto moved = txn->advance(fac, key, head.w, head.c, row);
  if (!moved) return moved.error();
  const Error lost{Errc::conflict, "somebody else has written meanwhile"};
  if (!*moved) return lost;
  switch (world.store.commit(std::move(txn))) {
    case CommitResult::committed: return {};
    case CommitResult::conflict: return lost;
    case CommitResult::unknown: return Error{Errc::unknown_outcome, "the store did not say whether it was written"};
    case CommitResult::failed: break;
  }
  return world.store.last_error();
}

}  // namespace egret::cloud::fhir
