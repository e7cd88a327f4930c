// Config: agent.toml as one table of settings that drives parser, defaults, example file and
// check-config. Promises: an unknown key, a wrong type and a value out of range are mistakes that
// name file, line, key, value and what is allowed; all of them are reported at once; a default is
// stated in one place. Leaves to others: whether files and hosts that are named exist (cli/doctor),
// reading keys (keys).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "schemas/seal.h"
#include "schemas/types.h"

namespace egret::agent {

struct BrokerConfig {
  std::string uri;  // mqtt://host[:port] or mqtts://host[:port]
  std::filesystem::path password_file, ca_file, cert_file, key_file;  // empty: none
  int64_t frame_kb_max = 0;
  int64_t reconnect_max_s = 0;
};
struct DoorsConfig {
  std::filesystem::path unix_socket;  // empty: off
  std::string http;                   // loopback address:port; empty: off
  int64_t connections_max = 0;
};
struct BufferConfig {
  int64_t budget_mb = 0;
  int64_t zstd_level = 0;
};
struct MetricsConfig {
  std::string otlp;                     // where they are pushed to; empty: off
  std::filesystem::path otlp_ca_file;   // empty: the system's
  int64_t otlp_every_s = 0;
};
struct Config {
  std::filesystem::path file;  // where it was read from
  Facility facility;
  std::string edge_id;
  std::filesystem::path state_dir, site_key_file;
  RegionPublicKey region_key;
  BrokerConfig broker;
  DoorsConfig doors;
  BufferConfig buffer;
  MetricsConfig metrics;
  std::string log_level;
};

// One thing that is wrong with a file. Text of values is shown, but not what may be a secret in a
// place where none belongs: a password in an address, or under a key of its own.
struct Mistake {
  std::string file;
  uint32_t line = 0;  // 0: concerns the file as a whole
  std::string key;    // empty: the file is not TOML
  std::string value;  // as written; empty when the key is missing
  std::string message;
};
// "agent.toml:12: buffer.budget_mb: 8: a whole number from 32 to 1048576 is allowed (MB)"
std::string text_of(const Mistake& mistake);

struct CheckedConfig {
  Config config;  // complete only when there are no mistakes
  // Every setting that is as it should be: key and TOML literal. None of them is a secret.
  std::vector<std::pair<std::string, std::string>> settings;
  std::vector<Mistake> mistakes;
};
CheckedConfig parse_config(std::string_view toml, const std::filesystem::path& file);
// A file that cannot be read is one mistake.
CheckedConfig read_config(const std::filesystem::path& file);

inline constexpr size_t kUnixPathMax = 107;  // characters; sockaddr_un

// A host:port that may be listened on: the loopback network only.
struct Loopback {
  std::string host;
  uint16_t port = 0;
};
// "127.0.0.1:8477", "[::1]:8477", "localhost:8477".
std::optional<Loopback> parse_loopback(std::string_view text);

// The whole file with comments; `values` (key, TOML literal) are set, everything else shows its
// default.
std::string example_config(const std::vector<std::pair<std::string, std::string>>& values);
// `text` as the TOML literal that the setting `key` expects: quoted, or bare for a number. nullopt:
// no such key.
std::optional<std::string> literal_for(std::string_view key, std::string_view text);

}  // namespace egret::agent
