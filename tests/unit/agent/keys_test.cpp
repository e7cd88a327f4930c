#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

#include "agent/keys.h"
#include "tests/unit/agent/scratch.h"

namespace egret::agent {

TEST_CASE("a site key is written once, for its owner's eyes only, and read back") {
  Scratch dir;
  auto file = dir.path() / "site.key";
  SitePrivateKey key;
  key.seed.fill(7);
  REQUIRE(write_site_key(file, key).has_value());
  CHECK((std::filesystem::status(file).permissions() & std::filesystem::perms(077)) ==
        std::filesystem::perms::none);
  CHECK(read_site_key(file)->seed == key.seed);
  CHECK(write_site_key(file, key).error().code == Errc::conflict);
}

TEST_CASE("a site key that others can read is refused, with the command that mends it") {
  Scratch dir;
  auto file = dir.path() / "site.key";
  REQUIRE(write_site_key(file, {}).has_value());
  std::filesystem::permissions(file, std::filesystem::perms(0640));
  auto read = read_site_key(file);
  REQUIRE(read.has_error());
  CHECK(read.error().code == Errc::config);
  CHECK(read.error().text.find("chmod 600") != std::string::npos);
}

TEST_CASE("a damaged key names its length and never its content") {
  Scratch dir;
  auto file = dir.path() / "site.key";
  std::ofstream(file) << "0123456789abcdef\n";
  std::filesystem::permissions(file, std::filesystem::perms(0600));
  auto read = read_site_key(file);
  REQUIRE(read.has_error());
  CHECK(read.error().text.find("16 characters") != std::string::npos);
  CHECK(read.error().text.find("0123456789") == std::string::npos);
  CHECK(read_site_key(dir.path() / "none").error().code == Errc::not_found);
}

TEST_CASE("a password is the first line of its file, whatever its line end") {
  Scratch dir;
  auto file = dir.path() / "password";
  std::ofstream(file, std::ios::binary) << "s3cret\r\nsecond\n";
  CHECK(*read_password(file) == "s3cret");
  std::ofstream(file, std::ios::binary) << "\n";
  CHECK(read_password(file).error().code == Errc::config);
}

TEST_CASE("a key of 64 hexadecimal digits is taken in either case") {
  CHECK(key_of_hex(std::string(62, '0') + "aF")->back() == 0xaf);
  CHECK(!key_of_hex(std::string(63, '0')));
  CHECK(!key_of_hex(std::string(63, '0') + "g"));
}

}  // namespace egret::agent
