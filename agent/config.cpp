#include "agent/config.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/url/parse.hpp>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>
#include <tuple>

#include <spdlog/fmt/fmt.h>
#include <toml++/toml.h>

#include "agent/keys.h"
#include "schemas/config_secret.h"
#include "schemas/http_post.h"
#include "schemas/limits.h"

namespace egret::agent {
namespace {

using std::filesystem::path;

// Where a value goes once its type is right. false: not allowed.
struct Target {
  Config& config;
  const path& folder;  // relative paths start here
};
using SetText = bool (*)(Target, const std::string&);
using SetWhole = int64_t& (*)(Config&);

struct Setting {
  const char* key;
  const char* doc;
  const char* fallback;  // TOML literal; nullptr: must be given
  const char* allowed;
  SetText text = nullptr;  // exactly one of text and whole
  SetWhole whole = nullptr;
  int64_t min = 0, max = 0;  // of whole
};

path full_path(Target to, const std::string& text) {
  constexpr std::string_view kStateDir = "<state_dir>";
  if (text.starts_with(kStateDir)) {
    return path(to.config.state_dir.string() + text.substr(kStateDir.size())).lexically_normal();
  }
  return (to.folder / text).lexically_normal();
}
bool set_path(Target to, const std::string& text, path& out, bool may_be_empty) {
  if (text.find('\0') != std::string::npos || (text.empty() && !may_be_empty)) return false;
  out = text.empty() ? path() : full_path(to, text);
  return true;
}
bool valid_broker_uri(const std::string& text) {
  auto uri = boost::urls::parse_uri(text);
  if (!uri || (uri->scheme() != "mqtt" && uri->scheme() != "mqtts")) return false;
  return !uri->host().empty() && !uri->has_userinfo() && !uri->has_query() &&
         !uri->has_fragment() && (uri->path().empty() || uri->path() == "/") &&
         (!uri->has_port() || uri->port_number() != 0);
}
bool is_one_of(const std::string& text, std::initializer_list<const char*> words) {
  return std::any_of(words.begin(), words.end(), [&](const char* w) { return text == w; });
}

constexpr const char* kPathAllowed = "a path (text in quotes) is allowed";
constexpr const char* kPathOrNone = "a path (text in quotes), or \"\" for none, is allowed";

// The one table. The order is that of the example file; state_dir stands before what is built on
// it.
const std::vector<Setting>& settings() {
  static const std::vector<Setting> table = {
      {"facility",
       "The name of this site, as the region knows it. It is also the broker's user name.", nullptr,
       "1 to 32 characters of a-z, 0-9 and - are allowed",
       [](Target to, const std::string& s) { return valid_facility(to.config.facility = s); }},
      {"region_key",
       "The region's public key, as `egret-cloud init` prints it. What leaves the site is sealed "
       "to it.",
       nullptr, "64 hexadecimal digits are allowed",
       [](Target to, const std::string& s) {
         auto key = key_of_hex(s);
         if (key) to.config.region_key.point = *key;
         return key.has_value();
       }},
      {"state_dir",
       "Where records wait until the region has them safe. Local disk, never a network drive.",
       "\"/var/lib/egret-agent\"", kPathAllowed,
       [](Target to, const std::string& s) { return set_path(to, s, to.config.state_dir, false); }},
      {"site_key_file", "This site's private key; only the agent's user may read it.",
       "\"<state_dir>/site.key\"", kPathAllowed,
       [](Target to, const std::string& s) {
         return set_path(to, s, to.config.site_key_file, false);
       }},
      {"edge_id", "Names this machine in what it takes in; empty: the host name.", "\"\"",
       "at most 64 characters are allowed",
       [](Target to, const std::string& s) { return (to.config.edge_id = s).size() <= 64; }},
      {"broker.uri", "The region's MQTT broker.", nullptr,
       "mqtt://host[:port] or mqtts://host[:port] is allowed",
       [](Target to, const std::string& s) { return valid_broker_uri(to.config.broker.uri = s); }},
      {"broker.password_file", "A file whose first line is the password at the broker.", "\"\"",
       kPathOrNone,
       [](Target to, const std::string& s) {
         return set_path(to, s, to.config.broker.password_file, true);
       }},
      {"broker.ca_file",
       "Who may vouch for the broker (PEM); empty: the system's authorities. Only with mqtts.",
       "\"\"", kPathOrNone,
       [](Target to, const std::string& s) {
         return set_path(to, s, to.config.broker.ca_file, true);
       }},
      {"broker.cert_file",
       "This site's certificate at the broker (PEM). Only with mqtts, together with key_file.",
       "\"\"", kPathOrNone,
       [](Target to, const std::string& s) {
         return set_path(to, s, to.config.broker.cert_file, true);
       }},
      {"broker.key_file", "The certificate's private key (PEM).", "\"\"", kPathOrNone,
       [](Target to, const std::string& s) {
         return set_path(to, s, to.config.broker.key_file, true);
       }},
      {"broker.frame_kb_max", "The largest message sent to the broker, in KiB.", "256",
       "a whole number of KiB from 8 to 1024 is allowed", nullptr,
       [](Config& c) -> int64_t& { return c.broker.frame_kb_max; }, kFrameBytesFloor / kKiB,
       kFrameBytesAgreedMax / kKiB},
      {"broker.reconnect_max_s",
       "The longest wait, in seconds, between two tries to reach a broker that does not answer; "
       "each is drawn at random below it, so that a region's sites do not come back all at once.",
       "300", "a whole number of seconds from 1 to 300 is allowed", nullptr,
       [](Config& c) -> int64_t& { return c.broker.reconnect_max_s; }, 1, kBackoffMaxMs / 1000},
      {"doors.unix_socket", "Where programs on this machine and the commands reach the agent.",
       "\"<state_dir>/agent.sock\"", kPathOrNone,
       [](Target to, const std::string& s) {
         return set_path(to, s, to.config.doors.unix_socket, true);
       }},
      {"doors.http",
       "The same over TCP, for programs that cannot use a socket file; \"\" turns it off.",
       "\"127.0.0.1:8477\"",
       "a loopback address and port like 127.0.0.1:8477 or [::1]:8477, or \"\" for none, is "
       "allowed",
       [](Target to, const std::string& s) {
         to.config.doors.http = s;
         return s.empty() || parse_loopback(s).has_value();
       }},
      {"doors.connections_max", "Connections served at once, all doors together.", "256",
       "a whole number from 1 to 4096 is allowed", nullptr,
       [](Config& c) -> int64_t& { return c.doors.connections_max; }, 1, 4096},
      {"buffer.budget_mb",
       "Disk that waiting records may take, in MiB. A day without the link must fit.", "4096",
       "a whole number of MiB from 32 to 1048576 is allowed", nullptr,
       [](Config& c) -> int64_t& { return c.buffer.budget_mb; }, kDiskBudgetBytesMin / kMiB,
       1 << 20},
      {"buffer.zstd_level",
       "How hard records are compressed before they are sent; more costs time, 0 is not at all.", "3",
       "a whole number from 0 to 19 is allowed", nullptr,
       [](Config& c) -> int64_t& { return c.buffer.zstd_level; }, 0, 19},
      {"metrics.otlp",
       "Where the metrics of GET /metrics are pushed to as well (OTLP over HTTP, JSON); \"\" turns it off.",
       "\"\"", "http://host[:port]/v1/metrics, https://…, or \"\" for none, is allowed",
       [](Target to, const std::string& s) {
         to.config.metrics.otlp = s;
         return s.empty() || http_target(s).has_value();
       }},
      {"metrics.otlp_ca_file", "Who may vouch for that receiver (PEM); empty: the system's authorities.",
       "\"\"", kPathOrNone,
       [](Target to, const std::string& s) {
         return set_path(to, s, to.config.metrics.otlp_ca_file, true);
       }},
      {"metrics.otlp_every_s", "How often they are pushed, in seconds.", "60",
       "a whole number of seconds from 1 to 3600 is allowed", nullptr,
       [](Config& c) -> int64_t& { return c.metrics.otlp_every_s; }, 1, 3600},
      {"log.level", "How much is written to the log.", "\"info\"",
       "\"debug\", \"info\", \"warn\" or \"error\" is allowed",
       [](Target to, const std::string& s) {
         return is_one_of(to.config.log_level = s, {"debug", "info", "warn", "error"});
       }},
  };
  return table;
}

const Setting* find_setting(std::string_view key) {
  for (const auto& s : settings()) {
    if (key == s.key) return &s;
  }
  return nullptr;
}
bool is_section(std::string_view key) {
  return std::any_of(settings().begin(), settings().end(), [&](const Setting& s) {
    return std::string_view(s.key).starts_with(std::string(key) + ".");
  });
}

// How many characters must change to make one word the other.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}
std::string known_keys_near(const std::string& key) {
  size_t dot = key.find('.');
  std::string section = dot == key.npos ? "" : key.substr(0, dot + 1);
  const Setting* nearest = nullptr;
  std::string all;
  for (const auto& s : settings()) {
    if (!nearest || distance(key, s.key) < distance(key, nearest->key)) nearest = &s;
    std::string_view name = s.key;
    bool here = is_section(section.substr(0, section.size() - !section.empty()))
                    ? name.starts_with(section)
                    : name.find('.') == name.npos;
    if (here) all += (all.empty() ? "" : ", ") + std::string(name);
  }
  if (distance(key, nearest->key) <= 3)
    return fmt::format("no such setting; did you mean {}?", nearest->key);
  return "no such setting; allowed here: " + all;
}

class Parser {
 public:
  explicit Parser(const path& file) : folder_(std::filesystem::absolute(file).parent_path()) {
    out_.config.file = file;
  }

  CheckedConfig run(std::string_view text) {
    toml::table root;
    try {
      root = toml::parse(text);
    } catch (const toml::parse_error& e) {
      mistake(e.source().begin.line, "", "", fmt::format("not TOML: {}", e.description()));
      return std::move(out_);
    }
    unknown_keys(root, "");
    for (const auto& setting : settings()) apply(root, setting);
    if (out_.mistakes.empty()) agree(root);
    std::sort(out_.mistakes.begin(), out_.mistakes.end(), [](const Mistake& a, const Mistake& b) {
      return std::tie(a.line, a.key) < std::tie(b.line, b.key);
    });
    return std::move(out_);
  }

 private:
  void mistake(uint32_t line, std::string key, std::string value, std::string message) {
    out_.mistakes.push_back({out_.config.file.filename().string(), line, std::move(key),
                             std::move(value), std::move(message)});
  }
  static std::string literal(const std::string& key, const toml::node& node) {
    std::ostringstream out;
    node.visit([&](const auto& n) {
      if constexpr (toml::is_table<decltype(n)>) {
        out << "a table";
      } else {
        out << n;
      }
    });
    std::string text = out.str();
    if (may_hide_a_secret(key, find_setting(key) != nullptr, text)) return kNotShown;
    return text.size() <= 80 ? text : text.substr(0, 77) + "...";
  }
  void unknown_keys(const toml::table& table, const std::string& prefix) {
    for (const auto& [name, node] : table) {
      std::string key = prefix + std::string(name.str());
      if (find_setting(key)) continue;
      if (is_section(key)) {
        if (const auto* inner = node.as_table()) {
          unknown_keys(*inner, key + ".");
        } else {
          mistake(node.source().begin.line, key, literal(key, node),
                  fmt::format("a table [{}] is allowed", key));
        }
        continue;
      }
      mistake(name.source().begin.line, key, literal(key, node), known_keys_near(key));
    }
  }
  void apply(const toml::table& root, const Setting& s) {
    toml::node_view<const toml::node> at = root.at_path(s.key);
    if (at.node() != nullptr) {
      if (take(*at.node(), s))
        out_.settings.emplace_back(s.key, literal(s.key, *at.node()));
      else
        mistake(at.node()->source().begin.line, s.key, literal(s.key, *at.node()), s.allowed);
      return;
    }
    if (s.fallback == nullptr) {
      mistake(section_line(root, s.key), s.key, "", fmt::format("is missing; {}", s.allowed));
      return;
    }
    toml::table fallback = toml::parse(fmt::format("value = {}", s.fallback));
    if (take(*fallback.get("value"), s)) out_.settings.emplace_back(s.key, s.fallback);
  }
  bool take(const toml::node& node, const Setting& s) {
    if (s.text) {
      const auto* text = node.as_string();
      return text != nullptr && s.text({out_.config, folder_}, text->get());
    }
    const auto* whole = node.as_integer();
    if (whole == nullptr || whole->get() < s.min || whole->get() > s.max) return false;
    s.whole(out_.config) = whole->get();
    return true;
  }
  static uint32_t section_line(const toml::table& root, std::string_view key) {
    size_t dot = key.find('.');
    const toml::node* section = dot == key.npos ? nullptr : root.get(key.substr(0, dot));
    return section ? section->source().begin.line : 1;
  }
  // What no single value can tell.
  void agree(const toml::table& root) {
    const auto& c = out_.config;
    auto line = [&](const char* key) {
      auto at = root.at_path(key);
      return at.node() ? at.node()->source().begin.line : section_line(root, key);
    };
    if (c.broker.cert_file.empty() != c.broker.key_file.empty()) {
      const char* given = c.broker.cert_file.empty() ? "broker.key_file" : "broker.cert_file";
      mistake(line(given), given, literal(given, *root.at_path(given).node()),
              "cert_file and key_file come together or not at all");
    }
    bool tls = c.broker.uri.starts_with("mqtts:");
    for (auto [key, value] : {std::pair{"broker.ca_file", &c.broker.ca_file},
                              {"broker.cert_file", &c.broker.cert_file}}) {
      if (!tls && !value->empty()) {
        mistake(line(key), key, literal(key, *root.at_path(key).node()),
                "is used only with broker.uri = \"mqtts://…\"");
      }
    }
    if (c.doors.unix_socket.native().size() > kUnixPathMax) {
      mistake(line("doors.unix_socket"), "doors.unix_socket", c.doors.unix_socket.string(),
              fmt::format("a path of at most {} characters is allowed", kUnixPathMax));
    }
    if (c.doors.unix_socket.empty() && c.doors.http.empty()) {
      mistake(line("doors.unix_socket"), "doors.unix_socket", "\"\"",
              "one of doors.unix_socket and doors.http must be open");
    }
  }

  path folder_;
  CheckedConfig out_;
};

std::string wrapped(const std::string& text) {
  std::string out;
  std::istringstream words(text);
  std::string line = "#";
  for (std::string word; words >> word;) {
    if (line.size() + word.size() > 98) {
      out += line + "\n";
      line = "#";
    }
    line += " " + word;
  }
  return out + line + "\n";
}

}  // namespace

std::string text_of(const Mistake& m) {
  std::string out = m.file;
  if (m.line != 0) out += fmt::format(":{}", m.line);
  if (!m.key.empty()) out += ": " + m.key;
  if (!m.value.empty()) out += ": " + m.value;
  return out + ": " + m.message;
}

CheckedConfig parse_config(std::string_view toml, const path& file) {
  return Parser(file).run(toml);
}

CheckedConfig read_config(const path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in || std::filesystem::is_directory(file)) {
    CheckedConfig out;
    out.config.file = file;
    out.mistakes.push_back(
        {file.string(), 0, "", "",
         "cannot be read; write one with `egret-agent init`, or name it with --config"});
    return out;
  }
  return parse_config(text.str(), file);
}

std::optional<Loopback> parse_loopback(std::string_view text) {
  size_t colon = text.rfind(':');
  if (colon == text.npos || colon + 1 == text.size()) return std::nullopt;
  std::string host(text.substr(0, colon));
  std::string_view digits = text.substr(colon + 1);
  uint16_t port = 0;
  auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (failed != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  if (host == "localhost") host = "127.0.0.1";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  boost::system::error_code bad;
  auto address = boost::asio::ip::make_address(host, bad);
  if (bad || !address.is_loopback()) return std::nullopt;
  return Loopback{host, port};
}

std::string example_config(const std::vector<std::pair<std::string, std::string>>& values) {
  std::string out =
      "# egret-agent: settings of one site. `egret-agent check-config` tells what is wrong with "
      "this file.\n"
      "# A line that begins with # shows what holds when nothing is said. Relative paths start at "
      "this file's folder.\n";
  std::string section;
  for (const auto& s : settings()) {
    std::string_view key = s.key;
    size_t dot = key.find('.');
    std::string here(dot == key.npos ? "" : key.substr(0, dot));
    if (here != section) out += fmt::format("\n[{}]", section = here);
    out += "\n" + wrapped(fmt::format("{} ({}.)", s.doc, std::string_view(s.allowed)));
    auto given =
        std::find_if(values.begin(), values.end(), [&](const auto& v) { return v.first == key; });
    std::string_view name = key.substr(dot == key.npos ? 0 : dot + 1);
    if (given != values.end()) {
      out += fmt::format("{} = {}\n", name, given->second);
    } else {
      out += fmt::format("#{} = {}\n", name, s.fallback ? s.fallback : "\"…\"");
    }
  }
  return out;
}

std::optional<std::string> literal_for(std::string_view key, std::string_view text) {
  const Setting* s = find_setting(key);
  if (s == nullptr) return std::nullopt;
  if (s->whole) return std::string(text);
  std::ostringstream out;
  out << toml::value<std::string>(std::string(text));
  return out.str();
}

}  // namespace egret::agent
