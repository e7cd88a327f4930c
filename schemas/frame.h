// Frame: the bytes of one MQTT payload: clear prefix, sealed body, tag; HELLO also kid, enc and
// signature.
// Promises: a frame that parses has every part in bounds; nothing is allocated for one that does
// not.
// Leaves to others: opening the body (seal.h), what it says (es1.proto, codec.h).
#pragma once

#include "schemas/error.h"
#include "schemas/types.h"

namespace egret {

// On the wire. Never renumbered.
enum class FrameType : uint8_t { hello = 1, welcome = 2, batch = 3, ack = 4, need_hello = 5 };
const char* name_of(FrameType type);

// Prefix, 24 bytes: "E1" · version (high 4 bits) suite (low 4 bits) · type · sid(8) · nonce(12).
struct FramePrefix {
  uint8_t version = 0;
  uint8_t suite = 0;
  FrameType type = FrameType::hello;
  SessionId sid{};
  Nonce nonce{};
};

struct ParsedFrame {
  FramePrefix prefix;
  ByteView clear_prefix;  // the 24 bytes as they stand
  ByteView hello_clear;   // kid ‖ enc, HELLO only
  ByteView sealed;        // ciphertext ‖ tag; empty for NEED_HELLO
  ByteView signed_part;   // HELLO only: all that the signature covers
  ByteView signature;     // HELLO only
};

// Errors: bad_frame (length, magic, type), unsupported (version or suite not ours).
Result<ParsedFrame> parse_frame(ByteView bytes);
Bytes encode_prefix(const FramePrefix& prefix);
// NEED_HELLO: clear, unauthenticated, echoes the nonce of the frame it answers.
Bytes need_hello_frame(const SessionId& sid, const Nonce& answered);

}  // namespace egret
