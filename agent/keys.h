// Keys: the site's private key and the broker's password as files that nobody else can read.
// Promises: a key file is made once, 0600, synced, never overwritten; a file that others can read
// is refused; a secret is never in an error. Leaves to others: what is done with keys
// (schemas/seal), which paths (config).
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "schemas/error.h"
#include "schemas/seal.h"

namespace egret::agent {

// 64 hexadecimal digits.
std::optional<Key32> key_of_hex(std::string_view text);

// The file holds the Ed25519 seed as 64 hexadecimal digits and a line end.
// Errors: not_found, config (others may read it, or it is no key).
Result<SitePrivateKey> read_site_key(const std::filesystem::path& file);
// Errors: conflict (the file exists), store_failed.
Result<void> write_site_key(const std::filesystem::path& file, const SitePrivateKey& key);
// The first line. Errors: not_found, config.
Result<std::string> read_password(const std::filesystem::path& file);
// nullopt: only its owner can read the file. Otherwise what is wrong and what to do.
std::optional<std::string> readable_by_others(const std::filesystem::path& file);

}  // namespace egret::agent
