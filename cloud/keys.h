// Keys: the region's private keys (files, 0600) and the channels made with them.
// Promises: a key file is made once and never overwritten; one that others can read is refused; a channel that was
// derived lately is not derived again.
// Leaves to others: rotating (an operator puts a newer file beside), what a channel is for (Reconciler).
#pragma once

#include <filesystem>
#include <list>
#include <map>
#include <vector>

#include "cloud/reconciler.h"

namespace egret::cloud {

// state_dir/region-<n>.key: 64 hex digits; the highest n is what new runs shall seal to.
Result<std::vector<RegionPrivateKey>> read_region_keys(const std::filesystem::path& state_dir);
// Makes the next one. Errors: store_failed.
Result<RegionPublicKey> make_region_key_file(const std::filesystem::path& state_dir, Entropy& entropy);
// state_dir/statement.key: the Ed25519 seed of what the region signs, 64 hex digits. Errors: not_found (run egret-cloud init),
// config (others can read it, or it is none).
Result<SitePrivateKey> read_statement_key(const std::filesystem::path& state_dir);
// Errors: conflict (there is one), store_failed.
Result<SitePublicKey> make_statement_key_file(const std::filesystem::path& state_dir, Entropy& entropy);
// 64 hex digits; nullopt: they are none.
std::optional<Key32> key_of_hex(std::string_view text);

class RegionKeyRing final : public KeyRing {
 public:
  explicit RegionKeyRing(std::vector<RegionPrivateKey> keys) : keys_(std::move(keys)) {}
  Result<std::shared_ptr<Channel>> join(const Facility& fac, const KeyId& kid, ByteView enc) override;
  bool signed_by(const SitePublicKey& key, const Facility& fac, const ParsedFrame& hello) override;
  std::optional<RegionPublicKey> next() const override;

 private:
  static constexpr size_t kChannelsKept = 4096;
  using Name = std::pair<Facility, Bytes>;
  std::vector<RegionPrivateKey> keys_;  // oldest first
  std::list<std::pair<Name, std::shared_ptr<Channel>>> recent_;
  std::map<Name, decltype(recent_)::iterator> known_;
};

}  // namespace egret::cloud
