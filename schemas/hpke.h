// HPKE: RFC 9180 base mode with DHKEM(X25519, HKDF-SHA256) and HKDF-SHA256, as far as es1 needs
// it: set up, export.
// Promises: the published CFRG vectors come out; secrets are wiped when their owner goes.
// Leaves to others: what the exported keys seal, and how (seal).
#pragma once

#include <optional>

#include "schemas/types.h"

namespace egret::hpke {

using Key = std::array<uint8_t, 32>;

// The AEAD goes into every derived secret, though es1 uses exported keys alone.
enum class Aead : uint16_t { aes_256_gcm = 0x0002, export_only = 0xffff };

class Exporter {
 public:
  Exporter(const Key& exporter_secret, Aead aead) : secret_(exporter_secret), aead_(aead) {}
  ~Exporter();
  // RFC 9180 section 5.3 with L = 32.
  Key derive(ByteView context) const;

 private:
  Key secret_;
  Aead aead_;
};

struct Sender {
  Key enc;
  Exporter exporter;
};

Key x25519_public(const Key& scalar);
// nullopt: the receiver's point, or enc, is one that yields no secret.
std::optional<Sender> setup_base_sender(const Key& receiver_public, const Key& ephemeral,
                                        ByteView info, Aead aead);
std::optional<Exporter> setup_base_receiver(const Key& receiver, const Key& enc, ByteView info,
                                            Aead aead);

}  // namespace egret::hpke
