#include "schemas/hpke.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <initializer_list>
#include <memory>

#include "schemas/error.h"
#include "schemas/seal.h"

namespace egret::hpke {
namespace {

constexpr ByteView kVersionLabel = "HPKE-v1";
constexpr uint16_t kKem = 0x0020;  // DHKEM(X25519, HKDF-SHA256)
constexpr uint16_t kKdf = 0x0001;  // HKDF-SHA256
constexpr ByteView kModeBase("\0", 1);

struct FreePkey {
  void operator()(EVP_PKEY* k) const { EVP_PKEY_free(k); }
  void operator()(EVP_PKEY_CTX* c) const { EVP_PKEY_CTX_free(c); }
};
using Pkey = std::unique_ptr<EVP_PKEY, FreePkey>;
using PkeyCtx = std::unique_ptr<EVP_PKEY_CTX, FreePkey>;

Pkey private_key(const Key& scalar) {
  Pkey key(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, scalar.data(), scalar.size()));
  EGRET_INVARIANT(key != nullptr, "any 32 bytes are an X25519 scalar");
  return key;
}

// nullopt: a point of low order, whose product is zero for every scalar.
std::optional<Key> x25519(const Key& scalar, const Key& point) {
  const Pkey own = private_key(scalar);
  const Pkey peer(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, point.data(), point.size()));
  const PkeyCtx ctx(EVP_PKEY_CTX_new(own.get(), nullptr));
  Key shared;
  size_t n = shared.size();
  if (!peer || !ctx || EVP_PKEY_derive_init(ctx.get()) != 1 ||
      EVP_PKEY_derive_set_peer(ctx.get(), peer.get()) != 1 ||
      EVP_PKEY_derive(ctx.get(), shared.data(), &n) != 1) {
    return {};
  }
  return shared;
}

Bytes be16(uint16_t v) {
  return {char(v >> 8), char(v)};
}

Bytes kem_suite() {
  return "KEM" + be16(kKem);
}
Bytes hpke_suite(Aead aead) {
  return "HPKE" + be16(kKem) + be16(kKdf) + be16(uint16_t(aead));
}

// HMAC over the parts in a row, which may be secret: the joined copy is wiped.
Key hmac_of(ByteView key, std::initializer_list<ByteView> parts) {
  size_t n = 0;
  for (ByteView p : parts) n += p.size();
  Bytes joined;
  joined.reserve(n);
  for (ByteView p : parts) joined.append(p);
  const Key mac = hmac_sha256(key, joined);
  OPENSSL_cleanse(joined.data(), joined.size());
  return mac;
}

Key labeled_extract(ByteView salt, ByteView suite, ByteView label, ByteView ikm) {
  return hmac_of(salt, {kVersionLabel, suite, label, ikm});
}

// L = 32 = one block of HKDF-Expand.
Key labeled_expand(const Key& prk, ByteView suite, ByteView label, ByteView info) {
  return hmac_of(view(prk),
                 {be16(sizeof(Key)), kVersionLabel, suite, label, info, ByteView("\x01", 1)});
}

std::optional<Key> kem_secret(const Key& scalar, const Key& point, const Key& enc,
                              const Key& receiver_public) {
  auto dh = x25519(scalar, point);
  if (!dh) return {};
  const Bytes suite = kem_suite();
  Key prk = labeled_extract("", suite, "eae_prk", view(*dh));
  OPENSSL_cleanse(dh->data(), dh->size());
  const Bytes context = Bytes(view(enc)).append(view(receiver_public));
  const Key shared = labeled_expand(prk, suite, "shared_secret", context);
  OPENSSL_cleanse(prk.data(), prk.size());
  return shared;
}

// RFC 9180 section 5.1, mode_base: no psk, no psk_id.
Exporter key_schedule(std::optional<Key>& shared, ByteView info, Aead aead) {
  const Bytes suite = hpke_suite(aead);
  Bytes context(kModeBase);
  context.append(view(labeled_extract("", suite, "psk_id_hash", "")));
  context.append(view(labeled_extract("", suite, "info_hash", info)));
  Key secret = labeled_extract(view(*shared), suite, "secret", "");
  OPENSSL_cleanse(shared->data(), shared->size());
  Key exporter_secret = labeled_expand(secret, suite, "exp", context);
  Exporter exporter(exporter_secret, aead);
  OPENSSL_cleanse(secret.data(), secret.size());
  OPENSSL_cleanse(exporter_secret.data(), exporter_secret.size());
  return exporter;
}

}  // namespace

Exporter::~Exporter() {
  OPENSSL_cleanse(secret_.data(), secret_.size());
}

Key Exporter::derive(ByteView context) const {
  return labeled_expand(secret_, hpke_suite(aead_), "sec", context);
}

Key x25519_public(const Key& scalar) {
  const Pkey key = private_key(scalar);
  Key point;
  size_t n = point.size();
  EGRET_INVARIANT(EVP_PKEY_get_raw_public_key(key.get(), point.data(), &n) == 1,
                  "an X25519 key has a public half");
  return point;
}

std::optional<Sender> setup_base_sender(const Key& receiver_public, const Key& ephemeral,
                                        ByteView info, Aead aead) {
  const Key enc = x25519_public(ephemeral);
  auto shared = kem_secret(ephemeral, receiver_public, enc, receiver_public);
  if (!shared) return {};
  return Sender{enc, key_schedule(shared, info, aead)};
}

std::optional<Exporter> setup_base_receiver(const Key& receiver, const Key& enc, ByteView info,
                                            Aead aead) {
  auto shared = kem_secret(receiver, enc, enc, x25519_public(receiver));
  if (!shared) return {};
  return key_schedule(shared, info, aead);
}

}  // namespace egret::hpke
