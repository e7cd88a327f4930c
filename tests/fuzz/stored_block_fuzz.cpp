// Fuzz entry: blocks at rest in the cloud: any bytes decode within bounds or are an error; what was
// written is read as it was; a record read alone is the one that the whole block has.
#include "cloud/stored_block.h"
#include "schemas/chain.h"
#include "schemas/limits.h"
#include "tests/fuzz/fuzz.h"

using namespace egret;
using namespace egret::cloud;
using fuzz::require;

namespace {

bool same(const StoredEntry& a, const StoredEntry& b) {
  return a.kind == b.kind && a.record == b.record && a.body_at == b.body_at &&
         a.arrival == b.arrival && a.hash == b.hash;
}

// Who wants some records of a value gets what all of it decodes to, and no other error.
void read_in_part(ByteView value, const Result<std::vector<StoredEntry>>& all) {
  auto pages = BlockPages::open(Bytes(value));
  if (!pages) return require(!all, "what cannot be opened cannot be decoded");
  if (all) require(pages->records() == all->size(), "both ways count the same records");
  for (size_t i = 0; i < std::min<size_t>(pages->records(), 64); i++) {
    const size_t index = i * 7 % pages->records();
    const auto entry = pages->at(index);
    require(entry || !all, "a record of a whole block can be read alone");
    if (entry && all) require(same(*entry, (*all)[index]), "a record alone is the one of the whole block");
  }
}

// Written anew, entries are read as the same.
void write_and_read(const std::vector<StoredEntry>& entries) {
  BlockWriter writer(64);
  for (const StoredEntry& entry : entries) writer.add(entry);
  Bytes raw;
  const Bytes value = writer.finish();
  const auto again = decode_block(value, raw);
  require(again && again->size() == entries.size(), "a block that was written can be read");
  for (size_t i = 0; i < entries.size(); i++)
    require(same((*again)[i], entries[i]), "an entry is read as it was written");
  read_in_part(value, again);
}

void run(ByteView input) {
  Bytes raw;
  const auto any = decode_block(input, raw);
  read_in_part(input, any);
  if (any) {
    require(raw.size() <= kRawBodyBytesMax * 2, "a block is no larger than a batch can make it");
    write_and_read(*any);
  }
  fuzz::Script script(input);
  std::vector<Bytes> texts;
  std::vector<StoredEntry> entries;
  while (!script.over() && entries.size() < 64) {
    StoredEntry& entry = entries.emplace_back();
    entry.kind = EntryKind(1 + script.u8() % 5);
    texts.push_back(script.bytes(script.u8()));
    if (script.u8() % 8 == 0) texts.back().resize(9'000, 'x');  // more than a page
  }
  for (size_t i = 0; i < entries.size(); i++) {
    StoredEntry& entry = entries[i];
    if (entry.kind == EntryKind::applied)
      entry.record = texts[i];
    else if (entry.kind != EntryKind::duplicate)
      entry.hash = sha256(texts[i]);
    else
      entry.arrival = texts[i], entry.body_at = {{{i}, StreamId(i % kStreamCount)}, {i}};
  }
  write_and_read(entries);
}

std::vector<Bytes> seeds() {
  BlockWriter one(64), all(64), paged(64);
  const Bytes large(5'000, 'x');
  for (int i = 0; i < 5; i++) paged.add({EntryKind::applied, large, {}, {}, {}});
  one.add({EntryKind::applied, "record", {}, {}, {}});
  for (uint8_t kind = 1; kind <= 5; kind++)
    all.add({EntryKind(kind), "record", {{{7}, StreamId::result}, {3}}, "arrival", sha256("x")});
  return {one.finish(), all.finish(), paged.finish()};
}

const fuzz::Registered registered({"stored_block", run, seeds});

}  // namespace
