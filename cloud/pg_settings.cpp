#include "cloud/pg_settings.h"

#include <spdlog/fmt/fmt.h>

#include <map>

namespace egret::cloud {
namespace {

struct Rule {
  const char* setting;
  const char* refused;
  const char* why;
};
// What an engine does not know is empty and refused by none.
constexpr Rule kRules[] = {
    {"fsync", "off", "a power cut loses or damages what was committed; set it to on"},
    {"full_page_writes", "off", "a power cut can leave half of a page; set it to on"},
    {"synchronous_commit", "off", "a crash loses the last commits; set it to on, for the user and the database too"},
    {"data_sync_retry", "on", "a sync that failed is tried again and says it worked; set it to off"},
    {"zero_damaged_pages", "on", "damaged pages are read as empty; set it to off"},
    {"default_transaction_read_only", "on", "nothing can be committed; set it to off, for the user and the database too"},
};

Result<std::string> value_of(PgLink& link, const char* setting) {
  const auto rows = link.ask(fmt::format("SELECT coalesce(current_setting('{}', true), '')::text", setting).c_str());
  if (!rows) return rows.error();
  return rows->size() == 1 ? std::string(rows->at(0, 0)) : std::string();
}

}  // namespace

Result<void> check_settings(PgLink& link) {
  std::string wrong;
  const auto add = [&](const std::string& text) { wrong += (wrong.empty() ? "" : "; ") + text; };
  std::map<std::string, std::string> values;
  for (const char* setting : {"fsync", "full_page_writes", "synchronous_commit", "data_sync_retry", "zero_damaged_pages",
                              "default_transaction_read_only", "synchronous_standby_names", "server_encoding"}) {
    auto value = value_of(link, setting);
    if (!value) return std::move(value).error();
    values[setting] = std::move(*value);
  }
  for (const Rule& rule : kRules) {
    if (values[rule.setting] == rule.refused) add(fmt::format("{} = {}: {}", rule.setting, rule.refused, rule.why));
  }
  if (values["synchronous_commit"] == "local" && !values["synchronous_standby_names"].empty())
    add("synchronous_commit = local: the standbys of synchronous_standby_names may lack what was committed when one takes over; set it to on");
  if (values["server_encoding"] != "UTF8" && !values["server_encoding"].empty())
    add(fmt::format("server_encoding = {}: the store wants a database with UTF8; create one with ENCODING 'UTF8'", values["server_encoding"]));
  const auto standby = link.ask("SELECT pg_is_in_recovery()::text");
  if (!standby) return standby.error();
  if (standby->size() == 1 && standby->at(0, 0) == "true")
    add("pg_is_in_recovery() = true: this server is a standby and cannot commit; name the primary in store.url (target_session_attrs=read-write finds it)");
  if (wrong.empty()) return {};
  return Error{Errc::config, "postgres: refused: " + wrong};
}

}  // namespace egret::cloud
