#include "cloud/config.h"

#include <spdlog/fmt/fmt.h>
#include <toml++/toml.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "cloud/outputs/syslog.h"
#include "cloud/outputs/webhook.h"
#include "schemas/config_secret.h"
#include "schemas/limits.h"

namespace egret::cloud {
namespace {

constexpr int64_t kMetricsSitesMax = 2'000;

using Set = std::function<bool(CloudConfig&, const std::string&)>;
using Whole = std::function<void(CloudConfig&, int64_t)>;

struct Setting {
  const char* key;
  const char* doc;
  const char* fallback;  // TOML literal; nullptr: must be given
  const char* allowed;
  Set text;              // exactly one of text and whole
  Whole whole;
  int64_t min = 0, max = 0;
};

std::filesystem::path beside(const CloudConfig& c, const std::string& text) {
  return text.empty() ? std::filesystem::path() : (c.file.parent_path() / text).lexically_normal();
}

bool set_policy(CloudConfig& c, const std::string& text) {
  static const std::map<std::string, SafePolicy> kNames{
      {"default", SafePolicy::by_default}, {"backup", SafePolicy::backup}, {"age", SafePolicy::age}, {"commit", SafePolicy::commit}};
  auto at = kNames.find(text);
  if (at != kNames.end()) c.safe = at->second;
  return at != kNames.end();
}

bool set_broker(CloudConfig& c, const std::string& text) {
  c.broker.url = text;
  BrokerConfig only_url;
  only_url.url = text;
  return bool(check(only_url));
}

// As libpq takes it, but without the password: configurations are read by more people than may know it.
bool set_postgres_url(CloudConfig& c, const std::string& text) {
  c.postgres_url = text;
  const bool with_scheme = text.starts_with("postgresql://") || text.starts_with("postgres://");
  const size_t at = text.find('@');
  const bool password = text.find("password=") != text.npos || (at != text.npos && text.substr(0, at).find(':', text.find("//")) != text.npos);
  return text.empty() || (with_scheme && !password);
}

Set path_into(std::filesystem::path CloudConfig::*member) {
  return [member](CloudConfig& c, const std::string& t) { return (c.*member = beside(c, t), true); };
}
Set path_into(std::filesystem::path BrokerConfig::*member) {
  return [member](CloudConfig& c, const std::string& t) { return (c.broker.*member = beside(c, t), true); };
}

const std::vector<Setting>& settings() {
  static const std::vector<Setting> kSettings{
      {"state_dir", "where the store, the region's keys and the control socket are", "\"/var/lib/egret-cloud\"", "a folder",
       [](CloudConfig& c, const std::string& t) { return !t.empty() && (c.state_dir = beside(c, t), true); }, nullptr},
      {"listen", "page, metrics and health; \"\" is off", "\"127.0.0.1:8478\"", "host:port, or \"\"",
       [](CloudConfig& c, const std::string& t) { return (c.listen = t, t.empty() || t.find(':') != std::string::npos); }, nullptr},
      {"broker.uri", "the MQTT broker", nullptr, "mqtt://host[:port] or mqtts://host[:port]", set_broker, nullptr},
      {"broker.user", "user name at the broker", "\"egret-cloud\"", "a name", [](CloudConfig& c, const std::string& t) { return (c.broker.user = t, true); }, nullptr},
      {"broker.password_file", "its first line is the password; \"\" is none", "\"\"", "a file", path_into(&CloudConfig::broker_password_file), nullptr},
      {"broker.ca_file", "PEM; only with mqtts://", "\"\"", "a file", path_into(&BrokerConfig::ca_file), nullptr},
      {"broker.cert_file", "client certificate, PEM", "\"\"", "a file", path_into(&BrokerConfig::certificate_file), nullptr},
      {"broker.key_file", "its private key, PEM", "\"\"", "a file", path_into(&BrokerConfig::key_file), nullptr},
      {"broker.shared", "\"yes\": several reconcilers may share the work ($share); \"no\": the broker has no such thing", "\"yes\"", "yes or no",
       [](CloudConfig& c, const std::string& t) { return (c.broker.shared_subscription = t == "yes", t == "yes" || t == "no"); }, nullptr},
      {"broker.queue_messages", "what the broker queues for one client (max_queued_messages); credit stays under half of it", "10000", "", nullptr,
       [](CloudConfig& c, int64_t v) { c.broker_queue_messages = v; }, 16, 10'000'000},
      {"store.kind", "\"rocksdb\": in state_dir, for one process; \"postgres\": in store.url, for any number of them", "\"rocksdb\"", "rocksdb or postgres",
       [](CloudConfig& c, const std::string& t) { return (c.postgres = t == "postgres", t == "rocksdb" || t == "postgres"); }, nullptr},
      {"store.url", "the PostgreSQL database, or a pooler before it; egret-cloud migrate makes the tables", "\"\"",
       "postgresql://user@host:port/database without a password (that is in store.password_file)", set_postgres_url, nullptr},
      {"store.password_file", "its first line is the password; \"\" is none", "\"\"", "a file", path_into(&CloudConfig::postgres_password_file), nullptr},
      {"api.anonymous", "who shows no token: \"viewer\" on this machine itself, nobody from elsewhere; \"none\": nobody. Tokens: egret-cloud token", "\"viewer\"", "viewer or none",
       [](CloudConfig& c, const std::string& t) { return (c.local_viewer = t == "viewer", t == "viewer" || t == "none"); }, nullptr},
      {"alerts.webhook", "each word about a critical finding is sent here as a signed POST, until it is taken; \"\" is off. Of several reconcilers with it one sends", "\"\"",
       "http://host[:port][/path], https://…, or \"\"", [](CloudConfig& c, const std::string& t) { return (c.webhook_url = t, t.empty() || http_target(t).has_value()); }, nullptr},
      {"alerts.webhook_secret_file", "its first line signs what is sent; at least 16 bytes", "\"\"", "a file", path_into(&CloudConfig::webhook_secret_file), nullptr},
      {"alerts.webhook_ca_file", "PEM, who may vouch for the receiver; \"\" is the system's", "\"\"", "a file", path_into(&CloudConfig::webhook_ca_file), nullptr},
      {"alerts.mqtt", "\"yes\": they go to egret/alerts/FACILITY on the broker, too", "\"no\"", "yes or no",
       [](CloudConfig& c, const std::string& t) { return (c.alerts_topic = t == "yes", t == "yes" || t == "no"); }, nullptr},
      {"alerts.syslog", "and to this log: /dev/log, or udp://host:port; \"\" is off", "\"\"", "a path, udp://host:port, or \"\"",
       [](CloudConfig& c, const std::string& t) { return (c.syslog = t, t.empty() || check_syslog(t).has_value()); }, nullptr},
      {"safe.policy", "up to where a site may delete: \"backup\" (confirmed), \"age\", \"commit\", or \"default\" (age until a backup is confirmed, then backup)",
       "\"default\"", "default, backup, age or commit", set_policy, nullptr},
      {"safe.age_h", "hours since commit, for the age policy", "72", "", nullptr, [](CloudConfig& c, int64_t v) { c.safe_age_h = v; }, 1, 8760},
      {"lease_s", "how long a site may send after one WELCOME", "120", "", nullptr, [](CloudConfig& c, int64_t v) { c.lease_s = v; }, 30, 3600},
      {"silent_after_s", "a site that has not spoken for this long is silent: it wants somebody; a site greets twice in lease_s, so not less than that", "900", "", nullptr,
       [](CloudConfig& c, int64_t v) { c.silent_after_s = v; }, 30, 7 * 86'400},
      {"herd_window_s", "sites that come back at once spread their first retry over this", "30", "", nullptr, [](CloudConfig& c, int64_t v) { c.herd_window_s = v; }, 0, 300},
      {"retention.telemetry_d", "days that telemetry is kept point by point, counted from its commit here; then a minute and an hour of it are one row each; 0 is for ever", "90",
       "", nullptr, [](CloudConfig& c, int64_t v) { c.retention[RetentionClass::telemetry] = v; }, 0, kRetentionDaysMax},
      {"retention.events_d", "days that what agents say about themselves is kept; not less than half a year, for it is an audit log", "1095", "", nullptr,
       [](CloudConfig& c, int64_t v) { c.retention[RetentionClass::events] = v; }, kRetentionEventsDaysMin, kRetentionDaysMax},
      {"retention.documents_d", "days that source documents are kept; 0 is for ever", "5475", "", nullptr,
       [](CloudConfig& c, int64_t v) { c.retention[RetentionClass::documents] = v; }, 0, kRetentionDaysMax},
      {"retention.results_d", "days that results, their reviews and retractions are kept after the last of them came; 0 is for ever", "10950", "", nullptr,
       [](CloudConfig& c, int64_t v) { c.retention[RetentionClass::results] = v; }, 0, kRetentionDaysMax},
      {"retention.audit_d", "days that entries of the audit log (egret-cloud audit) are kept, for who read what; not less than half a year", "1095", "", nullptr,
       [](CloudConfig& c, int64_t v) { c.retention.audit_days = v; }, kRetentionEventsDaysMin, kRetentionDaysMax},
      {"metrics.sites_max", "facilities that the metrics show by name, those first that want somebody; ten series each. 0: none, and the number of series is fixed", "0", "", nullptr,
       [](CloudConfig& c, int64_t v) { c.metrics_sites_max = v; }, 0, kMetricsSitesMax},
      {"metrics.otlp", "where the metrics of GET /metrics are pushed to as well (OTLP over HTTP, JSON); \"\" is off", "\"\"", "http://host[:port]/v1/metrics, https://…, or \"\"",
       [](CloudConfig& c, const std::string& t) { return (c.otlp = t, t.empty() || http_target(t).has_value()); }, nullptr},
      {"metrics.otlp_ca_file", "PEM, who may vouch for that receiver; \"\" is the system's", "\"\"", "a file", path_into(&CloudConfig::otlp_ca_file), nullptr},
      {"metrics.otlp_every_s", "how often they are pushed, in seconds", "60", "", nullptr, [](CloudConfig& c, int64_t v) { c.otlp_every_s = v; }, 1, 3600},
      {"log.level", "what is logged", "\"info\"", "debug, info, warn or error",
       [](CloudConfig& c, const std::string& t) { return (c.log_level = t, t == "debug" || t == "info" || t == "warn" || t == "error"); }, nullptr},
  };
  return kSettings;
}

std::string allowed(const Setting& s) {
  return s.whole ? fmt::format("a whole number from {} to {} is allowed", s.min, s.max) : fmt::format("{} is allowed", s.allowed);
}

// Every leaf with its dotted key.
void flatten(const toml::table& table, const std::string& prefix, std::map<std::string, const toml::node*>& out) {
  for (const auto& [key, node] : table) {
    std::string name = prefix + std::string(key.str());
    if (const auto* inner = node.as_table()) {
      flatten(*inner, name + ".", out);
    } else {
      out[name] = &node;
    }
  }
}

std::string shown(const std::string& key, bool known, const toml::node& node) {
  std::ostringstream out;
  if (const auto* text = node.as_string()) {
    out << '"' << text->get() << '"';
  } else {
    out << toml::node_view<const toml::node>(node);
  }
  // What is wrong with the address of the store may be its password.
  if (key == "store.url" || may_hide_a_secret(key, known, out.str())) return kNotShown;
  return out.str().substr(0, 80);
}

// What may stand where a setting is that nobody knows: the others of its table.
std::string known_beside(const std::string& key) {
  const size_t dot = key.find('.');
  const std::string table = dot == key.npos ? "" : key.substr(0, dot + 1);
  std::string here, top;
  for (const Setting& s : settings()) {
    const std::string name = s.key;
    if (!table.empty() && name.starts_with(table)) here += (here.empty() ? "" : ", ") + name;
    if (name.find('.') == name.npos) top += (top.empty() ? "" : ", ") + name;
  }
  return "no such setting; allowed here: " + (here.empty() ? top : here);
}

}  // namespace

std::string text_of(const ConfigMistake& m) {
  std::string out = m.file;
  if (m.line > 0) out += ":" + std::to_string(m.line);
  for (const std::string& part : {m.key, m.value, m.message}) {
    if (!part.empty()) out += ": " + part;
  }
  return out;
}

CheckedCloudConfig parse_cloud_config(std::string_view text, const std::filesystem::path& file) {
  CheckedCloudConfig out;
  out.config.file = file;
  std::map<std::string, const toml::node*> values;
  toml::table table, defaults;
  try {
    table = toml::parse(text, file.string());
  } catch (const toml::parse_error& e) {
    out.mistakes.push_back({file.string(), e.source().begin.line, "", "", "no TOML: " + std::string(e.description())});
    return out;
  }
  flatten(table, "", values);
  for (const Setting& s : settings()) {
    auto at = values.find(s.key);
    const toml::node* node = at == values.end() ? nullptr : at->second;
    uint32_t line = node ? node->source().begin.line : 0;
    if (node == nullptr && s.fallback == nullptr) {
      out.mistakes.push_back({file.string(), 0, s.key, "", "missing; " + allowed(s)});
      continue;
    }
    toml::table fallback = s.fallback ? toml::parse(std::string("v = ") + s.fallback) : toml::table();
    const toml::node& value = node ? *node : *fallback.get("v");
    bool fine = false;
    if (s.whole) {
      const auto* number = value.as_integer();
      fine = number && number->get() >= s.min && number->get() <= s.max;
      if (fine) s.whole(out.config, number->get());
    } else {
      const auto* words = value.as_string();
      fine = words && s.text(out.config, words->get());
    }
    if (!fine) out.mistakes.push_back({file.string(), line, s.key, shown(s.key, true, value), allowed(s)});
    if (at != values.end()) values.erase(at);
  }
  if (out.config.postgres && out.config.postgres_url.empty())
    out.mistakes.push_back({file.string(), 0, "store.url", "", "missing, for store.kind is postgres; postgresql://user@host:port/database is allowed"});
  if (!out.config.webhook_url.empty() && out.config.webhook_secret_file.empty())
    out.mistakes.push_back({file.string(), 0, "alerts.webhook_secret_file", "", "missing, for alerts.webhook is set; a file is allowed"});
  if (out.mistakes.empty() && table.contains("silent_after_s") && out.config.silent_after_s < out.config.lease_s)
    out.mistakes.push_back({file.string(), table.get("silent_after_s")->source().begin.line, "silent_after_s", std::to_string(out.config.silent_after_s), fmt::format("less than lease_s ({}), within which a healthy site speaks twice", out.config.lease_s)});
  for (const auto& [key, node] : values) {
    out.mistakes.push_back({file.string(), node->source().begin.line, key, shown(key, false, *node), known_beside(key)});
  }
  std::ranges::sort(out.mistakes, {}, [](const ConfigMistake& m) { return std::pair(m.line, m.key); });
  return out;
}

CheckedCloudConfig read_cloud_config(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  if (in) return parse_cloud_config(text.str(), file);
  CheckedCloudConfig out;
  out.mistakes.push_back({file.string(), 0, "", "", "cannot be read: run egret-cloud init, or name it with --config"});
  return out;
}

std::string example_cloud_config(const std::string& state_dir, const std::string& broker) {
  std::string top = "# egret-cloud: every setting with its default. A line that begins with # is the default.\n", tables;
  std::string open;
  for (const Setting& s : settings()) {
    std::string key = s.key, section;
    size_t dot = key.find('.');
    if (dot != std::string::npos) {
      section = key.substr(0, dot);
      key = key.substr(dot + 1);
    }
    std::string& out = section.empty() ? top : tables;
    if (!section.empty() && section != open) {
      out += "\n[" + section + "]\n";
      open = section;
    }
    std::string value = std::string(s.key) == "state_dir" ? "\"" + state_dir + "\"" : std::string(s.key) == "broker.uri" ? "\"" + broker + "\"" : "";
    out += fmt::format("\n# {}. {}\n", s.doc, allowed(s));
    out += value.empty() ? fmt::format("#{} = {}\n", key, s.fallback) : fmt::format("{} = {}\n", key, value);
  }
  return top + tables;
}

}  // namespace egret::cloud
