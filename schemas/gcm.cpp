#include "schemas/gcm.h"

#include <openssl/evp.h>

#include <climits>

#include "schemas/error.h"
#include "schemas/limits.h"

namespace egret {
namespace {

const uint8_t* bytes(ByteView b) {
  return reinterpret_cast<const uint8_t*>(b.data());
}
uint8_t* bytes(char* p) {
  return reinterpret_cast<uint8_t*>(p);
}

}  // namespace

void AesGcm::Free::operator()(evp_cipher_ctx_st* ctx) const {
  EVP_CIPHER_CTX_free(ctx);
}  // wipes the key

AesGcm::AesGcm(const std::array<uint8_t, 32>& key) : ctx_(EVP_CIPHER_CTX_new()) {
  EGRET_INVARIANT(ctx_ && EVP_CipherInit_ex(ctx_.get(), EVP_aes_256_gcm(), nullptr, key.data(),
                                            nullptr, 1) == 1,
                  "OpenSSL has AES-256-GCM");
}

bool AesGcm::start(const Nonce& nonce, Parts additional, bool encrypting) {
  int n = 0;
  bool ok = EVP_CipherInit_ex(ctx_.get(), nullptr, nullptr, nullptr, nonce.data(), encrypting) == 1;
  for (ByteView part : additional) {
    // OpenSSL takes a null pointer for the end of the message.
    if (!part.empty())
      ok = ok && EVP_CipherUpdate(ctx_.get(), nullptr, &n, bytes(part), int(part.size())) == 1;
  }
  return ok;
}

void AesGcm::encrypt(const Nonce& nonce, Parts additional, ByteView body, char* out) {
  EGRET_INVARIANT(body.size() <= INT_MAX, "a body is far smaller than OpenSSL's limit");
  int n = 0, rest = 0;
  bool ok = start(nonce, additional, true);
  if (!body.empty())
    ok = ok && EVP_CipherUpdate(ctx_.get(), bytes(out), &n, bytes(body), int(body.size())) == 1;
  ok = ok && EVP_CipherFinal_ex(ctx_.get(), bytes(out) + n, &rest) == 1 &&
       size_t(n) + size_t(rest) == body.size() &&
       EVP_CIPHER_CTX_ctrl(ctx_.get(), EVP_CTRL_AEAD_GET_TAG, int(kTagBytes), out + body.size()) ==
           1;
  EGRET_INVARIANT(ok, "AES-256-GCM takes any bytes");
}

std::optional<Bytes> AesGcm::decrypt(const Nonce& nonce, Parts additional, ByteView sealed) {
  if (sealed.size() < kTagBytes || sealed.size() > INT_MAX) return {};
  const ByteView text = sealed.substr(0, sealed.size() - kTagBytes);
  Bytes tag(sealed.substr(text.size()));
  Bytes body(text.size(), '\0');
  int n = 0, rest = 0;
  bool ok = start(nonce, additional, false);
  if (!text.empty()) {
    ok = ok &&
         EVP_CipherUpdate(ctx_.get(), bytes(body.data()), &n, bytes(text), int(text.size())) == 1;
  }
  ok = ok &&
       EVP_CIPHER_CTX_ctrl(ctx_.get(), EVP_CTRL_AEAD_SET_TAG, int(kTagBytes), tag.data()) == 1 &&
       EVP_CipherFinal_ex(ctx_.get(), bytes(body.data()) + n, &rest) == 1;
  if (!ok) return {};
  return body;
}

}  // namespace egret
