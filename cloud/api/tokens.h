// Tokens: who may ask the region's API: a file in the state folder with the hash of each token, its name and its role.
// Promises: a token is shown once, when it is made, and is nowhere afterwards; a token that was removed or has ended
// opens nothing from the next request on, without a restart; a file that is damaged, or that others can read, lets nobody in.
// Leaves to others: what a role may do (endpoints.h).
//
// The file, `tokens`, 0600: a line a token: name, role, SHA-256 of the token as hex, made and ends (UTC, us; 0: never).
// A token is `egret_` and 64 hex digits from the system's generator: with 256 bits of chance in it, one hash is enough.
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <vector>

#include "cloud/api/roles.h"
#include "schemas/error.h"
#include "schemas/types.h"

namespace egret::cloud {

struct TokenRow {
  std::string name;  // 1-64 of [A-Za-z0-9._@-]; of a person or a system, unique
  Role role = Role::viewer;
  Hash hash{};
  WallTime made, ends;
};
std::filesystem::path token_file(const std::filesystem::path& state_dir);
// None when there is no file. Errors: config (damaged, too large, or others can read it; names file and line).
Result<std::vector<TokenRow>> read_tokens(const std::filesystem::path& file);
// Returns the token. Errors: bad_input (name, days), conflict (the name is taken), too_large, config, disk_full, store_failed.
Result<std::string> add_token(const std::filesystem::path& file, const std::string& name, Role role, int64_t days, WallTime now, Entropy& entropy);
// Errors: not_found, config, disk_full, store_failed.
Result<void> remove_token(const std::filesystem::path& file, const std::string& name);

struct Caller {
  std::string name;  // of the token; empty: none was shown
  Role role = Role::viewer;
};

// The file as the service reads it: again whenever it has changed. From any thread.
class Tokens {
 public:
  explicit Tokens(std::filesystem::path file) : file_(std::move(file)) {}
  // Whose token this is. nullopt: nobody's, or it has ended, or the file cannot be used.
  std::optional<Caller> find(std::string_view token, WallTime now);
  // The same by the token's SHA-256, for whoever asks again and shall not keep the token.
  std::optional<Caller> find(const Hash& token_sha256, WallTime now);

 private:
  struct Seen {
    int64_t changed_ns = 0;
    uint64_t inode = 0, size = 0;
    bool operator==(const Seen&) const = default;
  };
  void look(const Seen& now);

  const std::filesystem::path file_;
  std::mutex lock_;  // guards what follows
  Seen seen_;
  std::vector<TokenRow> rows_;
};

}  // namespace egret::cloud
