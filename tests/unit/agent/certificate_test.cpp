#include "agent/certificate.h"

#include <catch2/catch.hpp>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <fstream>
#include <memory>

#include "tests/unit/agent/scratch.h"

namespace egret::agent {
namespace {

// A certificate of nobody that ends then, as PEM.
std::string ends_at(int64_t unix_s) {
  std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free);
  std::unique_ptr<X509, void (*)(X509*)> made(X509_new(), X509_free);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
  ASN1_TIME_set(X509_getm_notBefore(made.get()), 0);
  ASN1_TIME_set(X509_getm_notAfter(made.get()), unix_s);
  X509_set_pubkey(made.get(), key.get());
  REQUIRE(X509_sign(made.get(), key.get(), nullptr) > 0);
  std::unique_ptr<BIO, int (*)(BIO*)> out(BIO_new(BIO_s_mem()), BIO_free);
  REQUIRE(PEM_write_bio_X509(out.get(), made.get()) == 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<size_t>(size)};
}

}  // namespace

TEST_CASE("a certificate ends when its notAfter says, whatever follows it in the file") {
  Scratch dir;
  const auto file = dir.path() / "site.pem";
  for (int64_t end : {int64_t{1}, int64_t{1'800'000'000}, int64_t{4'102'444'800}}) {  // the last one is written in another form (2100)
    std::ofstream(file, std::ios::trunc) << ends_at(end) << ends_at(1'700'000'000) << "and more\n";
    CHECK(certificate_end(file) == end);
  }
}

TEST_CASE("what is no certificate has no end") {
  Scratch dir;
  const auto file = dir.path() / "site.pem";
  CHECK_FALSE(certificate_end(file));
  CHECK_FALSE(certificate_end(dir.path()));
  for (const std::string text : {"", "-----BEGIN CERTIFICATE-----\nnot base64\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n"}) {
    std::ofstream(file, std::ios::trunc) << text;
    CHECK_FALSE(certificate_end(file));
  }
  std::ofstream(file, std::ios::trunc) << ends_at(-3600);
  CHECK_FALSE(certificate_end(file));
}

}  // namespace egret::agent
