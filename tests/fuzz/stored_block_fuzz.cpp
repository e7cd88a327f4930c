// Fuzz entry: blocks at rest in the cloud: any bytes decode within bounds or are an error; what was
// written is read as it was.
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

// Written anew, entries are read as the same.
void write_and_read(const std::vector<StoredEntry>& entries) {
  BlockWriter writer(64);
  for (const StoredEntry& entry : entries) writer.add(entry);
  Bytes raw;
  const auto again = decode_block(writer.finish(), raw);
  require(again && again->size() == entries.size(), "a block that was written can be read");
  for (size_t i = 0; i < entries.size(); i++)
    require(same((*again)[i], entries[i]), "an entry is read as it was written");
}

void run(ByteView input) {
  Bytes raw;
  const auto any = decode_block(input, raw);
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
  BlockWriter one(64), all(64);
  one.add({EntryKind::applied, "record", {}, {}, {}});
  for (uint8_t kind = 1; kind <= 5; kind++)
    all.add({EntryKind(kind), "record", {{{7}, StreamId::result}, {3}}, "arrival", sha256("x")});
  return {one.finish(), all.finish()};
}

const fuzz::Registered registered({"stored_block", run, seeds});

}  // namespace
