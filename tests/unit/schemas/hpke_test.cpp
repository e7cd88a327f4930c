#include "schemas/hpke.h"

#include <catch2/catch.hpp>

#include "schemas/gcm.h"
#include "tests/unit/schemas/vectors.h"

using namespace egret;
using egret::test::for_each_vector;
using egret::test::unhex;
using egret::test::Vector;

TEST_CASE("both sides of HPKE export what the CFRG vectors say") {
  int exports = 0;
  for_each_vector("hpke/vectors.json", [&](const Vector& v) {
    const auto aead = hpke::Aead(v.number("aead_id"));
    CAPTURE(int(aead));
    CHECK(view(hpke::x25519_public(v.key("skRm"))) == v.bytes("pkRm"));
    auto sender = hpke::setup_base_sender(v.key("pkRm"), v.key("skEm"), v.bytes("info"), aead);
    auto receiver = hpke::setup_base_receiver(v.key("skRm"), v.key("enc"), v.bytes("info"), aead);
    REQUIRE(sender.has_value());
    REQUIRE(receiver.has_value());
    CHECK(sender->enc == v.key("enc"));
    for (auto e : v.list("exports")) {
      const Vector x(e);
      REQUIRE(x.number("L") == 32);
      CHECK(hex(view(sender->exporter.derive(x.bytes("exporter_context")))) ==
            x.text("exported_value"));
      CHECK(hex(view(receiver->derive(x.bytes("exporter_context")))) == x.text("exported_value"));
      ++exports;
    }
  });
  CHECK(exports == 6);
}

TEST_CASE("another receiver, info or AEAD exports other keys") {
  const hpke::Key receiver{8}, other{16}, ephemeral{24};  // X25519 drops the lowest three bits
  const auto derive = [&](const hpke::Key& to, ByteView info, hpke::Aead aead) {
    return hpke::setup_base_sender(hpke::x25519_public(to), ephemeral, info, aead)
        ->exporter.derive("x");
  };
  const auto base = derive(receiver, "a", hpke::Aead::aes_256_gcm);
  CHECK(base == derive(receiver, "a", hpke::Aead::aes_256_gcm));
  CHECK(base != derive(other, "a", hpke::Aead::aes_256_gcm));
  CHECK(base != derive(receiver, "b", hpke::Aead::aes_256_gcm));
  CHECK(base != derive(receiver, "a", hpke::Aead::export_only));
}

// The points of low order on Curve25519 (RFC 7748 section 6.1: an all-zero result must be refused);
// list of https://cr.yp.to/ecdh.html#validate, reduced form.
TEST_CASE("points of low order are refused on both sides") {
  for (const char* point : {"0000000000000000000000000000000000000000000000000000000000000000",
                            "0100000000000000000000000000000000000000000000000000000000000000",
                            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
    const auto p = test::unhex_array(point);
    CAPTURE(point);
    CHECK_FALSE(hpke::setup_base_sender(p, hpke::Key{7}, "", hpke::Aead::aes_256_gcm).has_value());
    CHECK_FALSE(
        hpke::setup_base_receiver(hpke::Key{7}, p, "", hpke::Aead::aes_256_gcm).has_value());
  }
}

TEST_CASE("AES-256-GCM seals and opens the CFRG vectors") {
  int messages = 0;
  for_each_vector("hpke/vectors.json", [&](const Vector& v) {
    if (v.list("encryptions").size() == 0) return;
    AesGcm gcm(v.key("key"));
    for (auto e : v.list("encryptions")) {
      const Vector x(e);
      const auto nonce = take<12>(x.bytes("nonce"));
      const Bytes aad = x.bytes("aad"), text = x.bytes("plaintext"), sealed = x.bytes("ciphertext");
      Bytes out(text.size() + 16, '\0');
      gcm.encrypt(nonce, {ByteView(aad).substr(0, 3), ByteView(aad).substr(3)}, text, out.data());
      CHECK(hex(out) == x.text("ciphertext"));
      CHECK(gcm.decrypt(nonce, {aad}, sealed) == text);
      ++messages;
    }
  });
  CHECK(messages == 4);
}

// "The Galois/Counter Mode of Operation", McGrew and Viega, appendix B, test cases 13, 14 and 16.
TEST_CASE("AES-256-GCM gives the published ciphertexts and tags") {
  struct {
    const char *key, *nonce, *aad, *text, *sealed;
  } const rows[] = {
      {"0000000000000000000000000000000000000000000000000000000000000000",
       "000000000000000000000000", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
      {"0000000000000000000000000000000000000000000000000000000000000000",
       "000000000000000000000000", "", "00000000000000000000000000000000",
       "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
      {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
       "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
       "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a"
       "6b525b16aedf5aa0de"
       "657ba637b39",
       "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b10568"
       "28838c5f61e6393ba7"
       "a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"},
  };
  for (const auto& row : rows) {
    AesGcm gcm(test::unhex_array(row.key));
    const auto nonce = test::unhex_array<12>(row.nonce);
    const Bytes aad = unhex(row.aad), text = unhex(row.text), sealed = unhex(row.sealed);
    Bytes out(text.size() + 16, '\0');
    gcm.encrypt(nonce, {aad}, text, out.data());
    CHECK(hex(out) == row.sealed);
    CHECK(gcm.decrypt(nonce, {aad}, sealed) == text);
    for (size_t at = 0; at < sealed.size(); ++at) {
      Bytes bad = sealed;
      bad[at] ^= 1;
      CHECK_FALSE(gcm.decrypt(nonce, {aad}, bad).has_value());
    }
  }
  CHECK_FALSE(AesGcm(hpke::Key{}).decrypt({}, {}, "short of a tag").has_value());
}
