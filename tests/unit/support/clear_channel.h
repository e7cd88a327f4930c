// ClearChannel: real frames around a body in clear, for tests of what is said and not of how it is
// sealed. Promises: the prefix, sizes and nonce rule of es1 (same content, same bytes); the tag is
// zeros. Leaves to others: secrecy and forgery (schemas/seal and its tests).
#pragma once

#include "schemas/chain.h"
#include "schemas/limits.h"
#include "schemas/seal.h"

namespace egret {

class ClearChannel final : public Channel {
 public:
  explicit ClearChannel(const SessionId& sid) : sid_(sid) {}
  explicit ClearChannel(uint8_t id) { sid_.fill(id); }
  const SessionId& sid() const override { return sid_; }
  Sealed seal(FrameType type, ByteView body) override {
    Hash h = sha256(Bytes(1, static_cast<char>(type)) + Bytes(body));
    Sealed sealed;
    sealed.nonce = take<sizeof(Nonce)>(view(h));
    sealed.frame = encode_prefix({kProtocolVersion, kSuite, type, sid_, sealed.nonce});
    if (type == FrameType::hello)
      sealed.frame += Bytes(kHelloClearBytes, static_cast<char>(sid_[0]));
    sealed.frame += Bytes(body) + Bytes(kTagBytes, '\0');
    if (type == FrameType::hello) sealed.frame += Bytes(kSignatureBytes, 's');
    return sealed;
  }
  Result<Opened> open(ByteView frame) override {
    Result<ParsedFrame> parsed = parse_frame(frame);
    if (!parsed) return parsed.error();
    ByteView sealed = parsed->sealed;
    if (sealed.substr(sealed.size() - kTagBytes) != Bytes(kTagBytes, '\0'))
      return Error{Errc::bad_frame, "tag"};
    return Opened{parsed->prefix, Bytes(sealed.substr(0, sealed.size() - kTagBytes))};
  }

 private:
  SessionId sid_{};
};

}  // namespace egret
