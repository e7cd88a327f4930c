// AesGcm: AES-256-GCM under one key, scheduled once and used for many messages.
// Promises: the published vectors come out; a wrong tag yields no byte; the key is wiped with the
// object.
// Leaves to others: nonces, which must not repeat for different messages (seal makes them from the
// content).
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>

#include "schemas/types.h"

struct evp_cipher_ctx_st;

namespace egret {

class AesGcm {
 public:
  using Parts = std::initializer_list<ByteView>;  // additional data, read in a row

  explicit AesGcm(const std::array<uint8_t, 32>& key);
  // Writes ciphertext ‖ tag to `out`: body.size() + kTagBytes.
  void encrypt(const Nonce& nonce, Parts additional, ByteView body, char* out);
  // nullopt: not sealed under this key and nonce with this additional data, or shorter than a tag.
  std::optional<Bytes> decrypt(const Nonce& nonce, Parts additional, ByteView sealed);

 private:
  struct Free {
    void operator()(evp_cipher_ctx_st* ctx) const;
  };
  bool start(const Nonce& nonce, Parts additional, bool encrypting);

  std::unique_ptr<evp_cipher_ctx_st, Free> ctx_;
};

}  // namespace egret
