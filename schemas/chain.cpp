// The one-shot EVP calls of OpenSSL 3.0 look the algorithm up on every call, which costs as much as
// hashing a record; the low-level ones go straight to the same assembly. A million records an hour
// pass here twice.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "schemas/chain.h"

#include <openssl/sha.h>

#include "schemas/limits.h"

namespace egret {
namespace {

class Sha256 {
 public:
  Sha256() { SHA256_Init(&state_); }
  void add(ByteView bytes) { SHA256_Update(&state_, bytes.data(), bytes.size()); }
  template <class Int>
  void add_big_endian(Int v) {
    std::array<uint8_t, sizeof(Int)> out;
    for (size_t i = 0; i < out.size(); ++i) out[i] = uint8_t(v >> (8 * (out.size() - 1 - i)));
    add(view(out));
  }
  Hash finish() {
    Hash h;
    SHA256_Final(h.data(), &state_);
    return h;
  }

 private:
  SHA256_CTX state_;
};

std::array<uint8_t, kLengthPrefixBytes> length_prefix(size_t n) {
  return {uint8_t(n), uint8_t(n >> 8), uint8_t(n >> 16), uint8_t(n >> 24)};
}

// Bytes of the record at the front of `raw`; false when its length prefix or body is cut short.
bool next_record(ByteView raw, ByteView& record) {
  if (raw.size() < kLengthPrefixBytes) return false;
  uint32_t n = 0;
  for (size_t i = kLengthPrefixBytes; i-- > 0;) n = n << 8 | uint8_t(raw[i]);
  if (raw.size() - kLengthPrefixBytes < n) return false;
  record = raw.substr(kLengthPrefixBytes, n);
  return true;
}

}  // namespace

Hash sha256(ByteView bytes) {
  Sha256 h;
  h.add(bytes);
  return h.finish();
}

Hash leaf_of(ByteView record) {
  Sha256 h;
  h.add(view(length_prefix(record.size())));
  h.add(record);
  return h.finish();
}

Hash chain_start(const Facility& fac, StreamKey key) {
  Sha256 h;
  h.add("es1");
  h.add(fac);
  h.add_big_endian(key.epoch.value);
  h.add_big_endian(uint8_t(key.stream));
  return h.finish();
}

Hash chain_extend(const Hash& before, Seq first, uint32_t count, std::span<const Hash> leaves) {
  Sha256 h;
  h.add(view(before));
  h.add_big_endian(first.value);
  h.add_big_endian(count);
  for (const Hash& leaf : leaves) h.add(view(leaf));
  return h.finish();
}

void append_record(Bytes& raw, ByteView record) {
  raw.append(view(length_prefix(record.size())));
  raw.append(record);
}

std::vector<ByteView> split_records(ByteView raw, bool& ok) {
  ok = false;
  size_t count = 0;
  ByteView record;
  for (ByteView rest = raw; !rest.empty(); ++count) {
    if (count == kBatchRecordsMax || !next_record(rest, record)) return {};
    rest.remove_prefix(kLengthPrefixBytes + record.size());
  }
  std::vector<ByteView> records;
  records.reserve(count);
  while (next_record(raw, record)) {
    records.push_back(record);
    raw.remove_prefix(kLengthPrefixBytes + record.size());
  }
  ok = true;
  return records;
}

std::vector<Hash> leaves_of(std::span<const ByteView> records) {
  std::vector<Hash> leaves;
  leaves.reserve(records.size());
  for (ByteView record : records) leaves.push_back(leaf_of(record));
  return leaves;
}

}  // namespace egret
