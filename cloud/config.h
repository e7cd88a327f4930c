// Config: cloud.toml as one table of settings that drives parser, defaults and the example file.
// Promises: an unknown key, a wrong type and a value out of range are mistakes that name file, line, key, value and
// what is allowed; all of them are reported at once; a default is stated in one place.
// Leaves to others: whether hosts that are named answer (server), reading keys (keys).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cloud/broker.h"
#include "cloud/retention_policy.h"
#include "cloud/safe.h"

namespace egret::cloud {

struct CloudConfig {
  std::filesystem::path file;
  std::filesystem::path state_dir;
  std::string listen;                        // host:port of the page; empty: off
  bool local_viewer = true;                  // who asks from this machine without a token is a viewer
  std::string webhook_url;                   // of alerts; empty: off
  std::filesystem::path webhook_secret_file, webhook_ca_file;
  bool alerts_topic = false;                 // alerts go to the broker, too
  std::string syslog;                        // empty: off
  BrokerConfig broker;                       // password not read yet
  std::filesystem::path broker_password_file;
  int64_t broker_queue_messages = 0;         // max_queued_messages of the broker, for credit
  bool postgres = false;                     // store.kind; else RocksDB in state_dir
  std::string postgres_url;
  std::filesystem::path postgres_password_file;
  SafePolicy safe = SafePolicy::by_default;
  int64_t safe_age_h = 0;
  int64_t lease_s = 0;
  int64_t silent_after_s = 0;
  int64_t herd_window_s = 0;
  RetentionPolicy retention;
  int64_t metrics_sites_max = 0;             // facilities that the metrics name
  std::string otlp;                          // where metrics are pushed to; empty: off
  std::filesystem::path otlp_ca_file;
  int64_t otlp_every_s = 0;
  std::string log_level;
};
struct ConfigMistake {
  std::string file;
  uint32_t line = 0;
  std::string key, value, message;
};
std::string text_of(const ConfigMistake& mistake);
struct CheckedCloudConfig {
  CloudConfig config;  // complete only when there are no mistakes
  std::vector<ConfigMistake> mistakes;
};
CheckedCloudConfig parse_cloud_config(std::string_view toml, const std::filesystem::path& file);
CheckedCloudConfig read_cloud_config(const std::filesystem::path& file);
// With comments; `state_dir` and `broker` filled in.
std::string example_cloud_config(const std::string& state_dir, const std::string& broker);

}  // namespace egret::cloud
