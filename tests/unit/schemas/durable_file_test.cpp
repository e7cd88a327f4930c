#include "schemas/durable_file.h"

#include <fstream>
#include <iterator>

#include "kv_dir.h"

namespace egret::test {
namespace {

std::string text_in(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

fs::perms mode_of(const fs::path& path) {
  return fs::status(path).permissions() & fs::perms::mask;
}

}  // namespace

TEST_CASE("a file is made once, whole, with its own permissions") {
  TempDir dir;
  const fs::path file = dir.path / "key";
  REQUIRE(make_file(file, "first", 0600).has_value());
  CHECK(text_in(file) == "first");
  CHECK(mode_of(file) == fs::perms(0600));
  CHECK(make_file(file, "second", 0600).error().code == Errc::conflict);
  CHECK(text_in(file) == "first");
  CHECK(std::distance(fs::directory_iterator(dir.path), {}) == 1);  // nothing is left beside it
}

TEST_CASE(
    "what a power cut left in the way of a new file does not stop it, nor lends it its "
    "permissions") {
  TempDir dir;
  const fs::path file = dir.path / "key";
  std::ofstream(file.string() + ".new") << "half of something longer";
  fs::permissions(file.string() + ".new", fs::perms(0644));
  REQUIRE(make_file(file, "whole", 0600).has_value());
  CHECK(text_in(file) == "whole");
  CHECK(mode_of(file) == fs::perms(0600));
}

TEST_CASE("a file is replaced as a whole, or made") {
  TempDir dir;
  const fs::path file = dir.path / "memory";
  REQUIRE(replace_file(file, "a longer first text", 0600).has_value());
  REQUIRE(replace_file(file, "second", 0640).has_value());
  CHECK(text_in(file) == "second");
  CHECK(mode_of(file) == fs::perms(0640));
  CHECK(std::distance(fs::directory_iterator(dir.path), {}) == 1);
  CHECK(replace_file(dir.path / "none" / "memory", "text", 0600).error().code == Errc::not_found);
}

TEST_CASE(
    "a folder is made with all that is missing above it, and keeps its mode when it is there") {
  TempDir dir;
  const fs::path folder = dir.path / "a" / "b";
  REQUIRE(make_folder(folder, 0700).has_value());
  CHECK(mode_of(folder) == fs::perms(0700));
  REQUIRE(make_folder(folder, 0755).has_value());
  CHECK(mode_of(folder) == fs::perms(0700));
  std::ofstream(dir.path / "file") << "in the way";
  CHECK(make_folder(dir.path / "file" / "c", 0700).has_error());
}

TEST_CASE("syncing what is not there says so and names it") {
  TempDir dir;
  REQUIRE(sync_folder(dir.path).has_value());
  REQUIRE(sync_tree(dir.path).has_value());
  const auto folder = sync_folder(dir.path / "none"), tree = sync_tree(dir.path / "none");
  REQUIRE((folder.has_error() && tree.has_error()));
  CHECK(folder.error().code == Errc::not_found);
  CHECK(folder.error().text.find("none") != std::string::npos);
  CHECK(tree.error().code == Errc::not_found);
}

}  // namespace egret::test
