#include "agent/keys.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include <spdlog/fmt/fmt.h>

#include "schemas/durable_file.h"

namespace egret::agent {
namespace {

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> first_line(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string line;
  if (!in)
    return Error{Errc::not_found, fmt::format("{}: {}", file.string(), std::strerror(errno))};
  std::getline(in, line);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

}  // namespace

std::optional<Key32> key_of_hex(std::string_view text) {
  Key32 key;
  if (text.size() != 2 * key.size()) return std::nullopt;
  for (size_t i = 0; i < key.size(); ++i) {
    int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    key[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return key;
}

std::optional<std::string> readable_by_others(const std::filesystem::path& file) {
  struct stat facts{};
  if (::stat(file.c_str(), &facts) != 0)
    return fmt::format("{}: {}", file.string(), std::strerror(errno));
  if ((facts.st_mode & 077) == 0) return std::nullopt;
  return fmt::format("{}: mode {:o}, others can read it; run: chmod 600 {}", file.string(),
                     facts.st_mode & 07777, file.string());
}

Result<SitePrivateKey> read_site_key(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) {
    return Error{Errc::not_found,
                 fmt::format("{}: no such key; make one with `egret-agent init`", file.string())};
  }
  if (auto wrong = readable_by_others(file)) return Error{Errc::config, *wrong};
  auto line = first_line(file);
  if (!line) return line.error();
  auto key = key_of_hex(*line);
  if (!key) {
    return Error{
        Errc::config,
        fmt::format("{}: {} characters, a key is 64 hexadecimal digits; restore it from its "
                    "backup, or make a new one with `egret-agent init`",
                    file.string(), line->size())};
  }
  return SitePrivateKey{*key};
}

Result<void> write_site_key(const std::filesystem::path& file, const SitePrivateKey& key) {
  return make_file(file, hex(view(key.seed)) + "\n", 0600);
}

Result<std::string> read_password(const std::filesystem::path& file) {
  auto line = first_line(file);
  if (!line) return line.error();
  if (line->empty())
    return Error{Errc::config,
                 fmt::format("{}: its first line is empty, a password is expected", file.string())};
  return line;
}

}  // namespace egret::agent
