#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "schemas/mqtt.h"

namespace egret {
namespace {

constexpr std::string_view kPlain = "mqtt://";
constexpr std::string_view kTls = "mqtts://";
constexpr uint16_t kPortPlain = 1883;
constexpr uint16_t kPortTls = 8883;

Error wrong(std::string text) {
  return {Errc::config, std::move(text)};
}

Error bad_url(const std::string& url, std::string_view why) {
  return wrong(fmt::format("url: '{}': {}; write mqtt://host:1883 or mqtts://host:8883", url, why));
}

// The port behind the host, when one is given.
bool take_port(std::string_view text, uint16_t& port) {
  if (text.empty()) return true;
  if (text[0] != ':') return false;
  unsigned number = 0;
  auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return false;
  if (number == 0 || number > 65'535) return false;
  port = static_cast<uint16_t>(number);
  return true;
}

Result<void> readable(std::string_view key, const std::filesystem::path& file) {
  if (file.empty() || access(file.c_str(), R_OK) == 0) return {};
  return wrong(fmt::format("{}: cannot read '{}': {}", key, file.string(), std::strerror(errno)));
}

}  // namespace

Result<MqttUrl> parse_mqtt_url(const std::string& url) {
  MqttUrl out;
  std::string_view rest = url;
  if (rest.starts_with(kPlain)) {
    rest.remove_prefix(kPlain.size());
    out.port = kPortPlain;
  } else if (rest.starts_with(kTls)) {
    rest.remove_prefix(kTls.size());
    out.tls = true;
    out.port = kPortTls;
  } else {
    return bad_url(url, "unknown scheme");
  }
  size_t host_end = rest.starts_with('[') ? rest.find(']') : rest.find(':');
  if (rest.starts_with('[')) {
    if (host_end == std::string_view::npos) return bad_url(url, "']' is missing");
    out.host = rest.substr(1, host_end - 1);
    ++host_end;
  } else {
    out.host = rest.substr(0, host_end);
    if (host_end == std::string_view::npos) host_end = rest.size();
  }
  if (out.host.empty()) return bad_url(url, "no host");
  const bool plain = std::all_of(out.host.begin(), out.host.end(), [](char c) { return c > ' ' && c != 0x7f; });
  if (!plain || out.host.find_first_of("/@?#[]\\") != std::string::npos) return bad_url(url, "host name");
  if (!take_port(rest.substr(host_end), out.port)) return bad_url(url, "the port is 1 to 65535");
  return out;
}

Result<void> check(const MqttOptions& options) {
  auto url = parse_mqtt_url(options.url);
  if (!url) return url.error();
  if (options.keep_alive_s < 5 || options.keep_alive_s > 3600)
    return wrong(fmt::format("keep_alive_s: {}, allowed are 5 to 3600", options.keep_alive_s));
  if (options.connect_timeout_ms < 100)
    return wrong(fmt::format("connect_timeout_ms: {}, at least 100", options.connect_timeout_ms));
  if (options.version != 0 && options.version != 4 && options.version != 5)
    return wrong(fmt::format("version: {}, allowed are 5, 4 (MQTT 3.1.1) and 0", options.version));
  if (!options.certificate_file.empty() && options.key_file.empty())
    return wrong("key_file: missing; a client certificate needs its private key");
  if (options.certificate_file.empty() && !options.key_file.empty())
    return wrong("certificate_file: missing; a private key needs its certificate");
  if (!url->tls && !(options.ca_file.empty() && options.certificate_file.empty()))
    return wrong("url: certificates are set, but mqtt:// does not use them; write mqtts://");
  for (auto [key, file] : {std::pair{"ca_file", &options.ca_file},
                           std::pair{"certificate_file", &options.certificate_file},
                           std::pair{"key_file", &options.key_file}}) {
    if (auto ok = readable(key, *file); !ok) return ok.error();
  }
  return {};
}

}  // namespace egret
