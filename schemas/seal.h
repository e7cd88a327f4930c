// Seal: who may read and who has written a frame. One HPKE context a run (RFC 9180 base mode,
// X25519, HKDF-SHA256), four exported keys, AES-256-GCM under a nonce made from the content (es1
// section 4).
// Promises: same content, same bytes; other content, other nonce; a frame opens only in its
// direction, for its facility and its sid. A key never leaves this file in an error or a log.
// Leaves to others: which keys are registered (cloud/reconciler), where they are kept (agent,
// cloud: files 0600).
#pragma once

#include <memory>

#include "schemas/error.h"
#include "schemas/frame.h"
#include "schemas/types.h"

namespace egret {

using Key32 = std::array<uint8_t, 32>;
using KeyId = std::array<uint8_t, 4>;  // first 4 bytes of SHA-256(public key)
using SealSignature = std::array<uint8_t, 64>;

// X25519, the region's: data is sealed to it.
struct RegionPublicKey {
  Key32 point{};
  KeyId kid() const;
  // False for the few points that no secret can be agreed with; a configuration check asks before a
  // run does.
  bool usable() const;
};
struct RegionPrivateKey {
  Key32 scalar{};
  ~RegionPrivateKey();  // wipes
  RegionPublicKey public_key() const;
};
// Ed25519, a site's: it signs every HELLO.
struct SitePublicKey {
  Key32 point{};
  auto operator<=>(const SitePublicKey&) const = default;
};
struct SitePrivateKey {
  Key32 seed{};
  ~SitePrivateKey();  // wipes
  SitePublicKey public_key() const;
  SealSignature sign(ByteView message) const;
};
bool verify(const SitePublicKey& key, ByteView message, ByteView signature);
RegionPrivateKey make_region_key(Entropy& entropy);
SitePrivateKey make_site_key(Entropy& entropy);
Hash hmac_sha256(ByteView key, ByteView message);

struct Sealed {
  Nonce nonce{};
  Bytes frame;
};
struct Opened {
  FramePrefix prefix;
  Bytes body;
};

// One side's view of one run. The edge seals up and opens down, the cloud the reverse.
class Channel {
 public:
  virtual ~Channel() = default;
  virtual const SessionId& sid() const = 0;
  // Seals `body` as a frame of `type`; deterministic. A HELLO carries kid, enc and the site's
  // signature. The edge seals HELLO and BATCH, the cloud WELCOME and ACK; a frame over its limit is
  // the caller's bug.
  virtual Sealed seal(FrameType type, ByteView body) = 0;
  // Errors: bad_frame (not ours, wrong tag, other direction), unsupported, unknown_session (another
  // sid).
  virtual Result<Opened> open(ByteView frame) = 0;
};

// The edge opens a run: a fresh ephemeral key from `entropy`, sealed to the region, whose key is
// usable().
std::unique_ptr<Channel> open_edge_channel(const Facility& fac, const RegionPublicKey& region,
                                           const SitePrivateKey& site, Entropy& entropy);
// The cloud joins the run that a HELLO (or a stored session row) names by `enc`.
// Errors: bad_frame when enc is no usable point.
Result<std::unique_ptr<Channel>> join_cloud_channel(const Facility& fac,
                                                    const RegionPrivateKey& region, ByteView enc);
// Is this HELLO signed by `key` for `fac`? Covers "es1-hello" ‖ u8 len(fac) ‖ fac ‖ everything
// before the signature.
bool hello_signed_by(const SitePublicKey& key, const Facility& fac, const ParsedFrame& hello);

}  // namespace egret
