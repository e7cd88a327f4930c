#include "schemas/seal.h"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>

#include "schemas/chain.h"
#include "schemas/gcm.h"
#include "schemas/hpke.h"
#include "schemas/limits.h"
#include "schemas/mutants.h"

namespace egret {
namespace {

enum class Direction : uint8_t { up = 0, down = 1 };

struct FreeEvp {
  void operator()(EVP_PKEY* k) const { EVP_PKEY_free(k); }
  void operator()(EVP_MD_CTX* c) const { EVP_MD_CTX_free(c); }
  void operator()(EVP_MAC* m) const { EVP_MAC_free(m); }
  void operator()(EVP_MAC_CTX* c) const { EVP_MAC_CTX_free(c); }
};
template <class T>
using Evp = std::unique_ptr<T, FreeEvp>;

const uint8_t* data(ByteView b) {
  return reinterpret_cast<const uint8_t*>(b.data());
}

Key32 random_key(Entropy& entropy) {
  Key32 k;
  entropy.fill(k.data(), k.size());
  return k;
}

// u8 len(fac) ‖ fac
Bytes named(const Facility& fac) {
  EGRET_INVARIANT(valid_facility(fac), "a facility's name was checked where it came in");
  return Bytes(1, char(fac.size())) + fac;
}

Bytes hello_message(const Facility& fac, ByteView signed_part) {
  return Bytes("es1-hello").append(named(fac)).append(signed_part);
}

// One direction of one run: its two keys, scheduled once, and a nonce made from all that is sealed.
class Sealer {
 public:
  Sealer(const hpke::Exporter& exporter, Direction direction, const Facility& fac);
  Nonce nonce_of(ByteView clear, ByteView body) const;
  // Writes ciphertext ‖ tag to `out`: body.size() + kTagBytes.
  void encrypt(const Nonce& nonce, ByteView clear, ByteView body, char* out) {
    gcm_.encrypt(nonce, {clear, tail_}, body, out);
  }
  // nullopt: not sealed under these keys, for this facility, with this clear part, under a nonce of
  // its content.
  std::optional<Bytes> decrypt(const Nonce& nonce, ByteView clear, ByteView sealed);

 private:
  static AesGcm cipher(const hpke::Exporter& exporter, Direction direction);

  const Bytes
      tail_;  // ends all that is authenticated but not encrypted: u8 len(fac) ‖ fac ‖ direction
  AesGcm gcm_;
  Evp<EVP_MAC_CTX> mac_;
};

Sealer::Sealer(const hpke::Exporter& exporter, Direction direction, const Facility& fac)
    : tail_(named(fac) + char(direction)), gcm_(cipher(exporter, direction)) {
  Key32 key = exporter.derive(direction == Direction::up ? "es1 up nonce" : "es1 down nonce");
  const Evp<EVP_MAC> hmac(EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_HMAC, nullptr));
  mac_.reset(EVP_MAC_CTX_new(hmac.get()));
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                               OSSL_PARAM_construct_end()};
  const bool ok = mac_ && EVP_MAC_init(mac_.get(), key.data(), key.size(), params) == 1;
  OPENSSL_cleanse(key.data(), key.size());
  EGRET_INVARIANT(ok, "OpenSSL has HMAC-SHA-256");
}

AesGcm Sealer::cipher(const hpke::Exporter& exporter, Direction direction) {
  Key32 key = exporter.derive(direction == Direction::up ? "es1 up key" : "es1 down key");
  AesGcm gcm(key);
  OPENSSL_cleanse(key.data(), key.size());
  return gcm;
}

Nonce Sealer::nonce_of(ByteView clear, ByteView body) const {
  Hash mac;
  size_t n = 0;
  bool ok = EVP_MAC_init(mac_.get(), nullptr, 0, nullptr) == 1;  // the same key again
  for (ByteView part : {clear, ByteView(tail_), body}) {
    ok = ok && EVP_MAC_update(mac_.get(), data(part), part.size()) == 1;
  }
  ok = ok && EVP_MAC_final(mac_.get(), mac.data(), &n, mac.size()) == 1 && n == mac.size();
  EGRET_INVARIANT(ok, "HMAC-SHA-256 takes any bytes");
  return take<sizeof(Nonce)>(view(mac));
}

std::optional<Bytes> Sealer::decrypt(const Nonce& nonce, ByteView clear, ByteView sealed) {
  auto body = gcm_.decrypt(nonce, {clear, tail_}, sealed);
  if (body && nonce_of(clear, *body) != nonce && !mutant(Mutant::counter_nonce)) body.reset();
  return body;
}

Bytes info_of(const Facility& fac) {
  return "egret es1" + named(fac);
}

struct Run {
  Facility fac;
  Bytes hello_clear;  // kid ‖ enc
  SessionId sid;
  Run(const Facility& facility, const KeyId& kid, const Key32& enc)
      : fac(facility),
        hello_clear(Bytes(view(kid)).append(view(enc))),
        sid(take<sizeof(SessionId)>(view(sha256(view(enc))))) {}
};

// Both ends are alike but for which direction they seal and who can sign.
class RunChannel final : public Channel {
 public:
  RunChannel(Run run, const hpke::Exporter& exporter, Direction seals,
             std::optional<SitePrivateKey> site)
      : run_(std::move(run)),
        sends_(seals),
        out_(exporter, seals, run_.fac),
        in_(exporter, seals == Direction::up ? Direction::down : Direction::up, run_.fac),
        site_(std::move(site)) {}

  const SessionId& sid() const override { return run_.sid; }
  Sealed seal(FrameType type, ByteView body) override;
  Result<Opened> open(ByteView frame) override;

 private:
  // What is sealed in clear: the prefix without its nonce, and a HELLO's kid and enc.
  static Bytes clear_of(ByteView prefix, ByteView hello_clear) {
    return Bytes(prefix.substr(0, kFramePrefixBytes - sizeof(Nonce))).append(hello_clear);
  }
  static bool goes(Direction direction, FrameType type) {
    if (direction == Direction::up) return type == FrameType::hello || type == FrameType::batch;
    return type == FrameType::welcome || type == FrameType::ack;
  }

  const Run run_;
  const Direction sends_;
  uint64_t sealed_ = 0;
  Sealer out_, in_;
  const std::optional<SitePrivateKey> site_;
};

Sealed RunChannel::seal(FrameType type, ByteView body) {
  EGRET_INVARIANT(goes(sends_, type), "a frame goes in its direction");
  const bool hello = type == FrameType::hello;
  FramePrefix prefix{kProtocolVersion, kSuite, type, run_.sid, {}};
  const ByteView hello_clear = hello ? ByteView(run_.hello_clear) : ByteView();
  const Bytes clear = clear_of(encode_prefix(prefix), hello_clear);
  prefix.nonce = out_.nonce_of(clear, body);
  if (mutant(Mutant::counter_nonce)) {
    prefix.nonce = {};
    std::memcpy(prefix.nonce.data(), &++sealed_, sizeof sealed_);
  }

  Sealed sealed{prefix.nonce, {}};
  Bytes& frame = sealed.frame;
  frame.reserve(kFramePrefixBytes + hello_clear.size() + body.size() + kTagBytes +
                (hello ? kSignatureBytes : 0));
  frame.append(encode_prefix(prefix)).append(hello_clear);
  const size_t body_at = frame.size();
  frame.resize(body_at + body.size() + kTagBytes);
  out_.encrypt(prefix.nonce, clear, body, frame.data() + body_at);
  if (hello) frame.append(view(site_->sign(hello_message(run_.fac, frame))));
  EGRET_INVARIANT(parse_frame(frame).has_value(), "a frame that was sealed is within its limits");
  return sealed;
}

Result<Opened> RunChannel::open(ByteView bytes) {
  const auto frame = parse_frame(bytes);
  if (!frame) return frame.error();
  const FrameType type = frame->prefix.type;
  if (goes(sends_, type) || type == FrameType::need_hello) {
    return Error{Errc::bad_frame, fmt::format("frame: {} is not one to open here", name_of(type))};
  }
  if (frame->prefix.sid != run_.sid)
    return Error{Errc::unknown_session, "frame: of another session"};
  if (type == FrameType::hello && frame->hello_clear != run_.hello_clear) {
    return Error{Errc::bad_frame, "frame: HELLO for another region key"};
  }
  const Bytes clear = clear_of(frame->clear_prefix, frame->hello_clear);
  auto body = in_.decrypt(frame->prefix.nonce, clear, frame->sealed);
  if (!body) return Error{Errc::bad_frame, fmt::format("frame: {} does not open", name_of(type))};
  return Opened{frame->prefix, std::move(*body)};
}

}  // namespace

KeyId RegionPublicKey::kid() const {
  return take<sizeof(KeyId)>(view(sha256(view(point))));
}

bool RegionPublicKey::usable() const {
  const hpke::Key any{1};
  return hpke::setup_base_sender(point, any, "", hpke::Aead::aes_256_gcm).has_value();
}

RegionPrivateKey::~RegionPrivateKey() {
  OPENSSL_cleanse(scalar.data(), scalar.size());
}
RegionPublicKey RegionPrivateKey::public_key() const {
  return {hpke::x25519_public(scalar)};
}

SitePrivateKey::~SitePrivateKey() {
  OPENSSL_cleanse(seed.data(), seed.size());
}

SitePublicKey SitePrivateKey::public_key() const {
  const Evp<EVP_PKEY> key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
  SitePublicKey out;
  size_t n = out.point.size();
  EGRET_INVARIANT(key && EVP_PKEY_get_raw_public_key(key.get(), out.point.data(), &n) == 1,
                  "any 32 bytes are an Ed25519 seed");
  return out;
}

SealSignature SitePrivateKey::sign(ByteView message) const {
  const Evp<EVP_PKEY> key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
  const Evp<EVP_MD_CTX> ctx(EVP_MD_CTX_new());
  SealSignature out;
  size_t n = out.size();
  const bool ok = key && ctx &&
                  EVP_DigestSignInit(ctx.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
                  EVP_DigestSign(ctx.get(), out.data(), &n, data(message), message.size()) == 1;
  EGRET_INVARIANT(ok && n == out.size(), "Ed25519 signs any bytes");
  return out;
}

bool verify(const SitePublicKey& key, ByteView message, ByteView signature) {
  const Evp<EVP_PKEY> pkey(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.point.data(), key.point.size()));
  const Evp<EVP_MD_CTX> ctx(EVP_MD_CTX_new());
  return signature.size() == kSignatureBytes && pkey && ctx &&
         EVP_DigestVerifyInit(ctx.get(), nullptr, nullptr, nullptr, pkey.get()) == 1 &&
         EVP_DigestVerify(ctx.get(), data(signature), signature.size(), data(message),
                          message.size()) == 1;
}

RegionPrivateKey make_region_key(Entropy& entropy) {
  return {random_key(entropy)};
}
SitePrivateKey make_site_key(Entropy& entropy) {
  return {random_key(entropy)};
}

Hash hmac_sha256(ByteView key, ByteView message) {
  Hash mac;
  const uint8_t* bytes = key.empty() ? reinterpret_cast<const uint8_t*>("") : data(key);
  EGRET_INVARIANT(HMAC(EVP_sha256(), bytes, int(key.size()), data(message), message.size(),
                       mac.data(), nullptr),
                  "HMAC-SHA-256 takes any bytes");
  return mac;
}

std::unique_ptr<Channel> open_edge_channel(const Facility& fac, const RegionPublicKey& region,
                                           const SitePrivateKey& site, Entropy& entropy) {
  Key32 ephemeral = random_key(entropy);
  const auto sender =
      hpke::setup_base_sender(region.point, ephemeral, info_of(fac), hpke::Aead::aes_256_gcm);
  OPENSSL_cleanse(ephemeral.data(), ephemeral.size());
  EGRET_INVARIANT(sender.has_value(), "the region's public key is usable()");
  return std::make_unique<RunChannel>(Run(fac, region.kid(), sender->enc), sender->exporter,
                                      Direction::up, site);
}

Result<std::unique_ptr<Channel>> join_cloud_channel(const Facility& fac,
                                                    const RegionPrivateKey& region, ByteView enc) {
  if (enc.size() != sizeof(Key32)) {
    return Error{Errc::bad_frame,
                 fmt::format("enc: {} bytes, {} needed", enc.size(), sizeof(Key32))};
  }
  const Key32 point = take<sizeof(Key32)>(enc);
  const auto exporter =
      hpke::setup_base_receiver(region.scalar, point, info_of(fac), hpke::Aead::aes_256_gcm);
  if (!exporter) return Error{Errc::bad_frame, "enc: a point that no secret can be agreed with"};
  return std::unique_ptr<Channel>(std::make_unique<RunChannel>(
      Run(fac, region.public_key().kid(), point), *exporter, Direction::down, std::nullopt));
}

bool hello_signed_by(const SitePublicKey& key, const Facility& fac, const ParsedFrame& hello) {
  return hello.prefix.type == FrameType::hello && valid_facility(fac) &&
         verify(key, hello_message(fac, hello.signed_part), hello.signature);
}

}  // namespace egret
