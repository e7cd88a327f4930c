// StoredBlock: the records of one block as the store keeps them: one value, compressed in pages.
// Promises: from it and what it points to, the bytes of every record that is not deleted come back
// exactly, so that leaves and chain can be computed anew; no body is kept twice; nothing is left of
// a deleted one; who wants one record decodes one page. Leaves to others: finding what it points to
// (block_reader.h), leaves and border (tables.h).
//
// Value of one page: codec u8, dictionary u32, raw length u32, count u32, then the encoded raw form. Of more: 255 u8,
// pages u32, of each: codec u8, dictionary u32, raw length u32, count u32, encoded length u32; then the encoded raw forms.
// A raw form holds for each record in the order of arrival kind u8 and
//   1 applied      u32 length, the record
//   2 duplicate    place of the record whose body this one has (epoch u64, stream u8, seq u64), u32
//   length, arrival 3 deleted      HMAC 32: the tombstone that it met when it came 4 quarantined
//   SHA-256(record) 32: its row of the quarantine 5 erased       HMAC 32: the tombstone; it had
//   been applied before 6 expired      kind of its statement u8, day u32 on which it came in, SHA-256(body) 32: applied
//   before, kept for as long as it had to be; its natural key stays and leads here
// Numbers are never reused.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "cloud/tables.h"
#include "schemas/codec.h"

namespace egret::cloud {

enum class EntryKind : uint8_t {
  applied = 1,
  duplicate = 2,
  deleted = 3,
  quarantined = 4,
  erased = 5,
  expired = 6
};
const char* name_of(EntryKind kind);

// Views into the decoded block.
struct StoredEntry {
  EntryKind kind = EntryKind::applied;
  ByteView record;   // applied
  Place body_at;     // duplicate
  ByteView arrival;  // duplicate
  Hash hash{};       // deleted, quarantined, erased, expired
  uint8_t statement = 0;  // expired: its Kind
  uint32_t day = 0;       // expired: day_of() the record
};

// One page of a value: where in it, and what it holds.
struct BlockPage {
  CodecId codec = CodecId::stored;
  DictionaryId dictionary = 0;
  uint32_t raw_len = 0, count = 0;
  size_t at = 0, bytes = 0;
};

class BlockWriter {
 public:
  explicit BlockWriter(size_t raw_bytes) { raw_.reserve(raw_bytes); }
  void add(const StoredEntry& entry);
  // The value to store.
  Bytes finish() const;

 private:
  struct Page {
    size_t end = 0;  // in raw_
    uint32_t count = 0;
  };
  Bytes raw_;
  std::vector<Page> pages_;
};

// A block of which some records are wanted. What at() gives points into it, wherever it is moved.
class BlockPages {
 public:
  // Errors: corrupt, too_large.
  static Result<BlockPages> open(Bytes value);
  size_t records() const;
  // `index` is below records(). Errors: corrupt, unsupported (a codec of a later program).
  Result<StoredEntry> at(size_t index);

 private:
  struct Decoded {
    Bytes raw;
    std::vector<StoredEntry> entries;
  };
  Bytes value_;
  std::vector<BlockPage> pages_;
  std::map<size_t, Decoded> decoded_;  // by page; nodes do not move
};

// The kind that a checked body begins with (field 1, a number below 128); 0: it begins otherwise.
Kind kind_in(ByteView body);

// The day (UTC, since 1970) on which a record came in, by its site's clock as corrected; 0: nobody knows.
uint32_t day_of(ByteView record);

// All records; `raw` receives what they point into. Errors: corrupt, too_large, unsupported.
Result<std::vector<StoredEntry>> decode_block(ByteView value, Bytes& raw);

}  // namespace egret::cloud
