#include "cloud/api/tokens.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <spdlog/fmt/fmt.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "cloud/api/limits.h"
#include "cloud/log.h"
#include "cloud/merge/moment.h"
#include "schemas/chain.h"
#include "schemas/durable_file.h"
#include "schemas/record_text.h"

namespace egret::cloud {
namespace {

constexpr std::string_view kPrefix = "egret_";

bool valid_name(std::string_view name) {
  if (name.empty() || name.size() > kTokenNameCharsMax) return false;
  return std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '_' || c == '@' || c == '-'; });
}

std::string line_of(const TokenRow& row) {
  return fmt::format("{} {} {} {} {}\n", row.name, name_of(row.role), hex(view(row.hash)), row.made.us, row.ends.us);
}

std::optional<TokenRow> row_of(const std::string& line) {
  std::istringstream in(line);
  std::string name, role, hash, more;
  TokenRow row;
  if (!(in >> name >> role >> hash >> row.made.us >> row.ends.us) || in >> more) return std::nullopt;
  const auto known = role_of(role);
  const auto bytes = bytes_from_hex(hash);
  if (!valid_name(name) || !known || !bytes || bytes->size() != row.hash.size()) return std::nullopt;
  std::ranges::copy(*bytes, row.hash.begin());
  row.name = name;
  row.role = *known;
  return row;
}

Result<void> write_tokens(const std::filesystem::path& file, const std::vector<TokenRow>& rows) {
  std::string text;
  for (const TokenRow& row : rows) text += line_of(row);
  return replace_file(file, text, 0600);
}

// One writer at a time, by a lock on the folder.
class Alone {
 public:
  explicit Alone(const std::filesystem::path& folder) : fd_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (fd_ >= 0) ::flock(fd_, LOCK_EX);
  }
  ~Alone() {
    if (fd_ >= 0) ::close(fd_);
  }
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;

 private:
  int fd_;
};

}  // namespace

std::filesystem::path token_file(const std::filesystem::path& state_dir) { return state_dir / "tokens"; }

Result<std::vector<TokenRow>> read_tokens(const std::filesystem::path& file) {
  struct stat st {};
  if (::stat(file.c_str(), &st) != 0) {
    if (errno == ENOENT) return std::vector<TokenRow>();
    return Error{Errc::config, file.string() + ": cannot be read"};
  }
  if ((st.st_mode & 0077) != 0) return Error{Errc::config, file.string() + ": others can read it: chmod 600"};
  if (static_cast<size_t>(st.st_size) > kTokenFileBytesMax) return Error{Errc::config, fmt::format("{}: {} bytes, at most {}", file.string(), st.st_size, kTokenFileBytesMax)};
  std::ifstream in(file);
  if (!in) return Error{Errc::config, file.string() + ": cannot be read"};
  std::vector<TokenRow> rows;
  size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    number++;
    auto row = row_of(line);
    if (!row) return Error{Errc::config, fmt::format("{}:{}: no token: name, role, 64 hex digits, made and ends", file.string(), number)};
    rows.push_back(std::move(*row));
  }
  return rows;
}

Result<std::string> add_token(const std::filesystem::path& file, const std::string& name, Role role, int64_t days, WallTime now, Entropy& entropy) {
  if (!valid_name(name)) return Error{Errc::bad_input, fmt::format("name: 1-{} of [A-Za-z0-9._@-]", kTokenNameCharsMax)};
  if (days < 0 || days > kTokenDaysMax) return Error{Errc::bad_input, fmt::format("days: {}, allowed 0 (no end) to {}", days, kTokenDaysMax)};
  const Alone alone(file.parent_path());
  auto rows = read_tokens(file);
  if (!rows) return std::move(rows).error();
  if (rows->size() >= kTokensMax) return Error{Errc::too_large, fmt::format("{} tokens, at most {}", rows->size(), kTokensMax)};
  if (std::ranges::any_of(*rows, [&](const TokenRow& row) { return row.name == name; })) return Error{Errc::conflict, name + ": has a token already; remove it first"};
  Bytes chance;
  while (chance.size() < 32) {
    const uint64_t next = entropy.next();
    chance.append(reinterpret_cast<const char*>(&next), sizeof(next));
  }
  std::string token = std::string(kPrefix) + hex(chance);
  rows->push_back({name, role, sha256(token), now, days == 0 ? WallTime{} : WallTime{now.us + days * kDayUs}});
  if (auto written = write_tokens(file, *rows); !written) return std::move(written).error();
  return token;
}

Result<void> remove_token(const std::filesystem::path& file, const std::string& name) {
  const Alone alone(file.parent_path());
  auto rows = read_tokens(file);
  if (!rows) return std::move(rows).error();
  if (std::erase_if(*rows, [&](const TokenRow& row) { return row.name == name; }) == 0) return Error{Errc::not_found, name + ": has no token"};
  return write_tokens(file, *rows);
}

void Tokens::look(const Seen& now) {
  if (now == seen_) return;
  seen_ = now;
  auto rows = read_tokens(file_);
  if (!rows) log("tokens_unreadable", rows.error());
  rows_ = rows ? std::move(*rows) : std::vector<TokenRow>();
}

std::optional<Caller> Tokens::find(std::string_view token, WallTime now) { return find(sha256(token), now); }

std::optional<Caller> Tokens::find(const Hash& shown, WallTime now) {
  struct stat st {};
  Seen file;
  if (::stat(file_.c_str(), &st) == 0) file = {st.st_ctim.tv_sec * 1'000'000'000 + st.st_ctim.tv_nsec, st.st_ino, static_cast<uint64_t>(st.st_size)};
  std::lock_guard held(lock_);
  look(file);
  for (const TokenRow& row : rows_) {
    if (CRYPTO_memcmp(row.hash.data(), shown.data(), shown.size()) != 0) continue;
    if (row.ends.us != 0 && row.ends.us <= now.us) return std::nullopt;
    return Caller{row.name, row.role};
  }
  return std::nullopt;
}

}  // namespace egret::cloud
