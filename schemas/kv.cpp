#include "schemas/kv.h"

namespace egret {

void KvBatch::put(Space space, Bytes key, Bytes value) {
  bytes_ += key.size() + value.size();
  ops_.push_back({KvOp::What::put, space, std::move(key), std::move(value)});
}

void KvBatch::erase(Space space, Bytes key) {
  bytes_ += key.size();
  ops_.push_back({KvOp::What::erase, space, std::move(key), {}});
}

void KvBatch::erase_range(Space space, Bytes first, Bytes end) {
  bytes_ += first.size() + end.size();
  ops_.push_back({KvOp::What::erase_range, space, std::move(first), std::move(end)});
}

void KvBatch::clear() {
  ops_.clear();
  bytes_ = 0;
}

namespace {

template <class Int>
void put_big_endian(Bytes& out, Int v) {
  for (size_t i = sizeof(Int); i-- > 0;) out.push_back(char(v >> (8 * i)));
}

template <class Int>
Int get_big_endian(ByteView in, size_t at) {
  if (in.size() < sizeof(Int) || at > in.size() - sizeof(Int)) return 0;
  Int v = 0;
  for (size_t i = 0; i < sizeof(Int); ++i) v = Int(v << 8) | uint8_t(in[at + i]);
  return v;
}

}  // namespace

void put_u32(Bytes& out, uint32_t v) {
  put_big_endian(out, v);
}
void put_u64(Bytes& out, uint64_t v) {
  put_big_endian(out, v);
}
uint32_t get_u32(ByteView in, size_t at) {
  return get_big_endian<uint32_t>(in, at);
}
uint64_t get_u64(ByteView in, size_t at) {
  return get_big_endian<uint64_t>(in, at);
}

}  // namespace egret
