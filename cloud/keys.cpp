#include "cloud/keys.h"

#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "schemas/durable_file.h"

namespace egret::cloud {
namespace {

std::map<int, std::filesystem::path> key_files(const std::filesystem::path& state_dir) {
  std::map<int, std::filesystem::path> out;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(state_dir, failed)) {
    std::string name = entry.path().filename().string();
    int number = 0;
    if (std::sscanf(name.c_str(), "region-%d.key", &number) == 1 && name == fmt::format("region-{}.key", number)) out[number] = entry.path();
  }
  return out;
}

int digit_of(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

}  // namespace

std::optional<Key32> key_of_hex(std::string_view text) {
  Key32 key{};
  if (text.size() != 2 * key.size()) return std::nullopt;
  for (size_t i = 0; i < key.size(); i++) {
    int high = digit_of(text[2 * i]), low = digit_of(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    key[i] = static_cast<uint8_t>(high * 16 + low);
  }
  return key;
}

namespace {

Result<Key32> read_key(const std::filesystem::path& file, const char* what) {
  struct stat st {};
  if (::stat(file.c_str(), &st) == 0 && (st.st_mode & 0077) != 0) return Error{Errc::config, file.string() + ": others can read it: chmod 600"};
  std::ifstream in(file);
  std::string text;
  in >> text;
  const std::optional<Key32> key = key_of_hex(text);
  if (!key) return Error{Errc::config, fmt::format("{}: no {} (64 hex digits)", file.string(), what)};
  return *key;
}

std::filesystem::path statement_key_file(const std::filesystem::path& state_dir) { return state_dir / "statement.key"; }

}  // namespace

Result<SitePrivateKey> read_statement_key(const std::filesystem::path& state_dir) {
  const auto file = statement_key_file(state_dir);
  if (!std::filesystem::exists(file)) return Error{Errc::not_found, file.string() + ": no key to sign with: run egret-cloud init, which makes what is missing"};
  const Result<Key32> seed = read_key(file, "statement key");
  if (!seed) return seed.error();
  SitePrivateKey key;
  key.seed = *seed;
  return key;
}

Result<SitePublicKey> make_statement_key_file(const std::filesystem::path& state_dir, Entropy& entropy) {
  const SitePrivateKey key = make_site_key(entropy);
  if (Result<void> made = make_file(statement_key_file(state_dir), hex(view(key.seed)) + "\n", 0600); !made) return made.error();
  return key.public_key();
}

Result<std::vector<RegionPrivateKey>> read_region_keys(const std::filesystem::path& state_dir) {
  std::vector<RegionPrivateKey> out;
  for (const auto& [number, file] : key_files(state_dir)) {
    const Result<Key32> scalar = read_key(file, "region key");
    if (!scalar) return scalar.error();
    out.emplace_back();
    out.back().scalar = *scalar;
  }
  if (out.empty()) return Error{Errc::config, state_dir.string() + ": no region key: run egret-cloud init"};
  return out;
}

Result<RegionPublicKey> make_region_key_file(const std::filesystem::path& state_dir, Entropy& entropy) {
  auto files = key_files(state_dir);
  int number = files.empty() ? 1 : files.rbegin()->first + 1;
  std::filesystem::path file = state_dir / fmt::format("region-{}.key", number);
  RegionPrivateKey key = make_region_key(entropy);
  std::string text = hex(view(key.scalar)) + "\n";
  // Sites seal to it from now on.
  if (Result<void> made = make_file(file, text, 0600); !made) return made.error();
  return key.public_key();
}

Result<std::shared_ptr<Channel>> RegionKeyRing::join(const Facility& fac, const KeyId& kid, ByteView enc) {
  Name name{fac, Bytes(enc)};
  if (auto at = known_.find(name); at != known_.end()) {
    recent_.splice(recent_.begin(), recent_, at->second);
    return at->second->second;
  }
  auto key = std::find_if(keys_.begin(), keys_.end(), [&](const RegionPrivateKey& k) { return k.public_key().kid() == kid; });
  if (key == keys_.end()) return Error{Errc::unknown_session, "sealed to a region key that is not here"};
  Result<std::unique_ptr<Channel>> channel = join_cloud_channel(fac, *key, enc);
  if (!channel) return channel.error();
  recent_.emplace_front(name, std::shared_ptr<Channel>(std::move(*channel)));
  known_[name] = recent_.begin();
  if (recent_.size() > kChannelsKept) {
    known_.erase(recent_.back().first);
    recent_.pop_back();
  }
  return recent_.front().second;
}

bool RegionKeyRing::signed_by(const SitePublicKey& key, const Facility& fac, const ParsedFrame& hello) { return hello_signed_by(key, fac, hello); }

std::optional<RegionPublicKey> RegionKeyRing::next() const {
  if (keys_.size() < 2) return std::nullopt;
  return keys_.back().public_key();
}

}  // namespace egret::cloud
