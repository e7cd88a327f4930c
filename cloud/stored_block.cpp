#include "cloud/stored_block.h"

#include <spdlog/fmt/fmt.h>

#include "cloud/merge/moment.h"
#include "cloud/row_bytes.h"
#include "schemas/limits.h"
#include "schemas/record.h"
#include "schemas/record.pb.h"

namespace egret::cloud {
namespace {

// Records are small and alike: a higher level costs more than half of the commit path and gives a
// few percent.
constexpr int kZstdLevel = 1;
constexpr size_t kPlaceBytes = 8 + 1 + 8;
// Some dozen records: most of what compression gives, at a fraction of what decoding a whole block costs who wants one.
constexpr size_t kPageBytes = 8 * kKiB;
constexpr uint8_t kPaged = 255;  // where a single page has its codec
constexpr size_t kPageHeadBytes = 1 + 4 + 4 + 4 + 4;
constexpr size_t kRawBytesMax =
    kRawBodyBytesMax + kBatchRecordsMax * (1 + kPlaceBytes + kLengthPrefixBytes);

Error damaged(const char* what) {
  return {Errc::corrupt, fmt::format("cloud store: a block is not as it was written: {}", what)};
}

bool read_entry(RowReader& in, StoredEntry& entry) {
  entry.kind = EntryKind(in.u8());
  switch (entry.kind) {
    case EntryKind::applied:
      entry.record = in.text();
      return in.ok();
    case EntryKind::duplicate:
      entry.body_at.key.epoch.value = in.u64();
      entry.body_at.key.stream = StreamId(in.u8());
      entry.body_at.seq.value = in.u64();
      entry.arrival = in.text();
      return in.ok();
    case EntryKind::deleted:
    case EntryKind::quarantined:
    case EntryKind::erased:
      entry.hash = in.fixed<32>();
      return in.ok();
    case EntryKind::expired:
      entry.statement = in.u8();
      entry.day = in.u32();
      entry.hash = in.fixed<32>();
      return in.ok();
  }
  return false;
}

size_t sum_of(const std::vector<BlockPage>& pages, uint32_t BlockPage::* what) {
  size_t out = 0;
  for (const BlockPage& page : pages) out += page.*what;
  return out;
}

// What the head of a value says, checked against its bytes and the largest block.
Result<std::vector<BlockPage>> pages_in(ByteView value) {
  RowReader in(value);
  std::vector<BlockPage> pages(1);
  const uint8_t first = in.u8();
  if (first == kPaged) {
    const uint32_t count = in.u32();
    if (count == 0 || !in.holds(count, kPageHeadBytes)) return damaged("it says more pages than it holds");
    pages.resize(count);
  }
  size_t raw = 0, encoded = 0;
  for (BlockPage& page : pages) {
    page.codec = CodecId(first == kPaged ? in.u8() : first);
    page.dictionary = in.u32();
    page.raw_len = in.u32();
    page.count = in.u32();
    if (first == kPaged) encoded += page.bytes = in.u32();
    raw += page.raw_len;
    if (raw > kRawBytesMax) return Error{Errc::too_large, fmt::format("cloud store: a block: over {} bytes, decoded", kRawBytesMax)};
  }
  if (!in.ok()) return damaged("it is too short");
  const size_t left = in.rest().size();
  if (first != kPaged) pages.front().bytes = encoded = left;
  if (encoded != left) return damaged("its pages have another length");
  size_t at = value.size() - left;
  for (BlockPage& page : pages) {
    page.at = at;
    at += page.bytes;
  }
  return pages;
}

Result<Bytes> decode_page(ByteView value, const BlockPage& page) {
  return decode(page.codec, page.dictionary, value.substr(page.at, page.bytes), page.raw_len, kRawBytesMax);
}

Result<void> read_page(ByteView raw, uint32_t count, std::vector<StoredEntry>& to) {
  RowReader in(raw);
  if (!in.holds(count, 1 + kLengthPrefixBytes)) return damaged("it says more records than it holds");
  const size_t before = to.size();
  to.resize(before + count);
  for (size_t i = before; i < to.size(); ++i) {
    if (!read_entry(in, to[i])) return damaged("a record of it cannot be read");
  }
  if (!in.done()) return damaged("bytes are left over");
  return {};
}

}  // namespace

const char* name_of(EntryKind kind) {
  switch (kind) {
    case EntryKind::applied:
      return "applied";
    case EntryKind::duplicate:
      return "duplicate";
    case EntryKind::deleted:
      return "deleted";
    case EntryKind::quarantined:
      return "quarantined";
    case EntryKind::erased:
      return "erased";
    case EntryKind::expired:
      return "expired";
  }
  return "unknown";
}

void BlockWriter::add(const StoredEntry& entry) {
  if (pages_.empty() || raw_.size() - (pages_.size() < 2 ? 0 : pages_[pages_.size() - 2].end) >= kPageBytes) pages_.emplace_back();
  raw_.push_back(char(entry.kind));
  switch (entry.kind) {
    case EntryKind::applied:
      put_u32(raw_, uint32_t(entry.record.size()));
      raw_.append(entry.record);
      break;
    case EntryKind::duplicate:
      put_u64(raw_, entry.body_at.key.epoch.value);
      raw_.push_back(char(entry.body_at.key.stream));
      put_u64(raw_, entry.body_at.seq.value);
      put_u32(raw_, uint32_t(entry.arrival.size()));
      raw_.append(entry.arrival);
      break;
    case EntryKind::deleted:
    case EntryKind::quarantined:
    case EntryKind::erased:
      raw_.append(view(entry.hash));
      break;
    case EntryKind::expired:
      raw_.push_back(char(entry.statement));
      put_u32(raw_, entry.day);
      raw_.append(view(entry.hash));
      break;
  }
  ++pages_.back().count;
  pages_.back().end = raw_.size();
}

Bytes BlockWriter::finish() const {
  if (pages_.size() <= 1) {
    const Encoded encoded = encode(raw_, CodecId::zstd, kZstdLevel);
    RowWriter out(kPageHeadBytes + encoded.bytes.size());
    out.u8(static_cast<uint8_t>(encoded.codec)).u32(encoded.dictionary).u32(encoded.raw_len).u32(pages_.empty() ? 0 : pages_.front().count);
    return out.raw(encoded.bytes).take();
  }
  std::vector<Encoded> encoded;
  size_t begin = 0, bytes = 1 + 4;
  for (const Page& page : pages_) {
    encoded.push_back(encode(ByteView(raw_).substr(begin, page.end - begin), CodecId::zstd, kZstdLevel));
    begin = page.end;
    bytes += kPageHeadBytes + encoded.back().bytes.size();
  }
  RowWriter out(bytes);
  out.u8(kPaged).u32(static_cast<uint32_t>(pages_.size()));
  for (size_t i = 0; i < pages_.size(); ++i) {
    const Encoded& e = encoded[i];
    out.u8(static_cast<uint8_t>(e.codec)).u32(e.dictionary).u32(e.raw_len).u32(pages_[i].count).u32(static_cast<uint32_t>(e.bytes.size()));
  }
  for (const Encoded& e : encoded) out.raw(e.bytes);
  return out.take();
}

Kind kind_in(ByteView body) {
  return body.size() < 2 || body[0] != 0x08 ? Kind(0) : Kind(body[1]);
}

uint32_t day_of(ByteView record) {
  const auto parts = split_record(record);
  v1::Arrival arrival;
  if (!parts || !arrival.ParseFromArray(parts->arrival.data(), static_cast<int>(parts->arrival.size()))) return 0;
  const int64_t us = arrival.wall_us() - int64_t{arrival.clock_off_ms()} * 1000;
  return us < 0 ? 0 : static_cast<uint32_t>(us / kDayUs);
}

Result<std::vector<StoredEntry>> decode_block(ByteView value, Bytes& raw) {
  const auto pages = pages_in(value);
  if (!pages) return pages.error();
  raw.clear();
  if (pages->size() > 1) raw.reserve(sum_of(*pages, &BlockPage::raw_len));
  for (const BlockPage& page : *pages) {
    auto decoded = decode_page(value, page);
    if (!decoded) return std::move(decoded).error();
    if (pages->size() == 1) raw = std::move(*decoded);
    else raw.append(*decoded);
  }
  std::vector<StoredEntry> entries;
  size_t begin = 0;
  for (const BlockPage& page : *pages) {
    if (auto read = read_page(ByteView(raw).substr(begin, page.raw_len), page.count, entries); !read) return read.error();
    begin += page.raw_len;
  }
  return entries;
}

Result<BlockPages> BlockPages::open(Bytes value) {
  auto pages = pages_in(value);
  if (!pages) return std::move(pages).error();
  BlockPages out;
  out.value_ = std::move(value);
  out.pages_ = std::move(*pages);
  return out;
}

size_t BlockPages::records() const {
  return sum_of(pages_, &BlockPage::count);
}

Result<StoredEntry> BlockPages::at(size_t index) {
  size_t page = 0;
  while (index >= pages_[page].count) index -= pages_[page++].count;
  const auto [at, fresh] = decoded_.try_emplace(page);
  Decoded& decoded = at->second;
  if (fresh) {
    auto raw = decode_page(value_, pages_[page]);
    auto read = raw ? read_page(decoded.raw = std::move(*raw), pages_[page].count, decoded.entries) : Result<void>(raw.error());
    if (!read) {
      decoded_.erase(at);
      return std::move(read).error();
    }
  }
  return decoded.entries[index];
}

}  // namespace egret::cloud
