// RowBytes: writes and reads the fields of a row one after the other.
// Promises: a reader never looks past the end: it answers zero and remembers that the row was too
// short. Leaves to others: which fields a row has (tables.h), what to say when one is damaged.
#pragma once

#include "schemas/kv.h"

namespace egret::cloud {

class RowWriter {
 public:
  explicit RowWriter(size_t reserve = 64) { out_.reserve(reserve); }
  RowWriter& u8(uint8_t v) {
    out_.push_back(char(v));
    return *this;
  }
  RowWriter& u32(uint32_t v) {
    put_u32(out_, v);
    return *this;
  }
  RowWriter& u64(uint64_t v) {
    put_u64(out_, v);
    return *this;
  }
  RowWriter& i64(int64_t v) { return u64(static_cast<uint64_t>(v)); }
  RowWriter& raw(ByteView v) {
    out_.append(v);
    return *this;
  }
  template <size_t N>
  RowWriter& fixed(const std::array<uint8_t, N>& a) {
    return raw(view(a));
  }
  // u32 length, then the bytes.
  RowWriter& text(ByteView v) { return u32(static_cast<uint32_t>(v.size())).raw(v); }
  Bytes take() { return std::move(out_); }

 private:
  Bytes out_;
};

class RowReader {
 public:
  explicit RowReader(ByteView bytes) : bytes_(bytes) {}
  uint8_t u8() { return need(1) ? uint8_t(bytes_[step(1)]) : 0; }
  uint32_t u32() { return need(4) ? get_u32(bytes_, step(4)) : 0; }
  uint64_t u64() { return need(8) ? get_u64(bytes_, step(8)) : 0; }
  int64_t i64() { return static_cast<int64_t>(u64()); }
  // 0 or 1; anything else was never written.
  bool flag() {
    const uint8_t v = u8();
    ok_ = ok_ && v <= 1;
    return v == 1;
  }
  template <size_t N>
  std::array<uint8_t, N> fixed() {
    return need(N) ? egret::take<N>(bytes_.substr(step(N))) : std::array<uint8_t, N>{};
  }
  ByteView raw(size_t n) { return need(n) ? bytes_.substr(step(n), n) : ByteView(); }
  ByteView text() { return raw(u32()); }
  ByteView rest() { return raw(bytes_.size() - at_); }
  // Room for `n` more things of `each` bytes: asked before anything is allocated for them.
  bool holds(size_t n, size_t each) { return ok_ && (bytes_.size() - at_) / each >= n; }
  bool ok() const { return ok_; }
  // What was read is nothing that is ever written.
  void refuse() { ok_ = false; }
  // Everything was there and nothing is left over.
  bool done() const { return ok_ && at_ == bytes_.size(); }

 private:
  bool need(size_t n) { return ok_ = ok_ && bytes_.size() - at_ >= n; }
  size_t step(size_t n) {
    at_ += n;
    return at_ - n;
  }
  ByteView bytes_;
  size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace egret::cloud
