#include "agent/doors/page.h"

#include <openssl/evp.h>
#include <simdjson.h>
#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>

#include "agent/phrases.h"
#include "schemas/chain.h"

namespace egret::agent {
namespace {

constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, "Noto Sans SC", "Microsoft YaHei", sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
h1 { font-size: 1.2rem; margin: 0; }
h2 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
.word { font-size: 1.5rem; font-weight: 600; padding: .6rem .9rem; border-radius: .4rem; border: 2px solid currentColor; margin: .6rem 0; }
.well { color: #1b7a3d; }
.look { color: #b3261e; }
@media (prefers-color-scheme: dark) { .well { color: #5fd08a; } .look { color: #ff8a80; } }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #8886; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
li { margin-bottom: .4rem; }
.zh { display: block; opacity: .85; }
@media print { a { display: none; } }
)css";

std::string safe(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

// Both languages, the second in a line of its own.
std::string both(std::string_view en, std::string_view zh) { return fmt::format(R"({}<span class="zh" lang="zh-CN">{}</span>)", safe(en), safe(zh)); }
template <class... Args>
std::string both(Phrase phrase, const Args&... in) {
  return both(fmt::format(fmt::runtime(text_of(phrase, Language::english)), in...), fmt::format(fmt::runtime(text_of(phrase, Language::chinese)), in...));
}

std::string utc(int64_t ms) { return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::gmtime(static_cast<std::time_t>(ms / 1000))); }

std::string head(simdjson::dom::element s) {
  const simdjson::dom::array todo = s["todo"];
  const bool linked = bool(s["linked"]), well = linked && todo.size() == 0;
  const int64_t since = int64_t(s["since_s"]);
  const auto line = [&](Language in) {
    const std::string how_long = duration_text(since, in);
    return linked ? fmt::format(fmt::runtime(text_of(Phrase::linked, in)), how_long) : fmt::format(fmt::runtime(text_of(Phrase::not_linked, in)), how_long, std::string_view(s["why"]));
  };
  return fmt::format("<h1>{}</h1>\n<div class=\"word {}\" role=\"status\">{}</div>\n<p>{}</p>\n", safe(fmt::format(fmt::runtime(text_of(Phrase::page_title, Language::english)), std::string_view(s["facility"]))),
                     well ? "well" : "look", both(well ? Phrase::page_well : Phrase::page_look), both(line(Language::english), line(Language::chinese)));
}

std::string lanes(simdjson::dom::element s) {
  constexpr Phrase kNames[] = {Phrase::lane_critical, Phrase::lane_result, Phrase::lane_telemetry, Phrase::lane_bulk};
  std::string out = fmt::format("<h2>{}</h2>\n<table>\n<tr><th></th><th class=\"n\">{}</th><th class=\"n\">{}</th><th class=\"n\">{}</th></tr>\n", both(Phrase::page_lane), both(Phrase::page_count), both(Phrase::page_size),
                                both(Phrase::page_oldest));
  for (auto [name, lane] : simdjson::dom::object(s["lanes"])) {
    Phrase phrase = Phrase::lane_bulk;
    for (Phrase one : kNames) phrase = name == text_of(one, Language::english) ? one : phrase;
    const uint64_t n = uint64_t(lane["records"]);
    const int64_t oldest = int64_t(lane["oldest_s"]);
    out += fmt::format("<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n", both(phrase), count_text(n), n == 0 ? "" : bytes_text(uint64_t(lane["bytes"])),
                       n == 0 ? "" : both(duration_text(oldest, Language::english), duration_text(oldest, Language::chinese)));
  }
  out += "</table>\n";
  int64_t eta = 0;
  if (s["drain_eta_s"].get(eta) != simdjson::SUCCESS) return out;
  const auto line = [&](Language in) { return fmt::format(fmt::runtime(text_of(Phrase::all_sent, in)), duration_text(eta, in)); };
  return out + "<p>" + both(line(Language::english), line(Language::chinese)) + "</p>\n";
}

std::string totals(simdjson::dom::element s) {
  std::string out = "<table>\n";
  const auto row = [&](Phrase name, const std::string& value) { out += fmt::format("<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td></tr>\n", both(name), value); };
  row(Phrase::page_accepted, count_text(uint64_t(s["accepted"])));
  row(Phrase::page_shed, count_text(uint64_t(s["shed"])));
  row(Phrase::page_refused, count_text(uint64_t(s["refused"])));
  row(Phrase::page_quarantined, count_text(uint64_t(s["quarantined"])));
  row(Phrase::page_disk, bytes_text(uint64_t(s["disk"]["used_bytes"])) + " / " + bytes_text(uint64_t(s["disk"]["budget_bytes"])));
  return out + "</table>\n";
}

std::string todo(simdjson::dom::element s) {
  const simdjson::dom::array en = s["todo"], zh = s["todo_zh"];
  if (en.size() == 0) return "";
  std::string out = "<h2>" + both(Phrase::page_todo) + "</h2>\n<ol>\n";
  for (size_t i = 0; i < en.size(); i++) out += "<li>" + both(std::string_view(en.at(i)), std::string_view(zh.at(i))) + "</li>\n";
  return out + "</ol>\n";
}

// The newest first.
std::string news(simdjson::dom::element s) {
  std::string rows;
  for (auto one : simdjson::dom::array(s["notices"])) rows = fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", utc(int64_t(one["at_ms"])), safe(std::string_view(one["text"]))) + rows;
  return rows.empty() ? "" : "<h2>" + both(Phrase::page_news) + "</h2>\n<table>\n" + rows + "</table>\n";
}

}  // namespace

Result<std::string> clinic_page(ByteView json) {
  simdjson::dom::parser parser;
  simdjson::dom::element s;
  if (parser.parse(simdjson::padded_string(json)).get(s) != simdjson::SUCCESS) return Error{Errc::bad_input, "not the status of an agent"};
  try {
    const std::string facility{std::string_view(s["facility"])};
    return fmt::format("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"refresh\" content=\"10\">\n"
                       "<title>Egret: {0}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>{1}</style>\n</head>\n<body>\n{2}{3}{4}{5}{6}<p><a href=\"v1/status\" download=\"egret-{0}-status.json\">{7}</a></p>\n<p>{8}</p>\n</body>\n</html>\n",
                       safe(facility), kStyle, head(s), todo(s), lanes(s), totals(s), news(s), both(Phrase::page_support), both(Phrase::page_as_of, utc(int64_t(s["now_ms"]))));
  } catch (const simdjson::simdjson_error&) {
    return Error{Errc::bad_input, "the status of an agent of another version"};
  }
}

const std::string& clinic_page_policy() {
  static const std::string policy = [] {
    const Hash hash = sha256(kStyle);
    unsigned char encoded[64];
    const int size = EVP_EncodeBlock(encoded, hash.data(), static_cast<int>(hash.size()));
    return "default-src 'none'; img-src data:; style-src 'sha256-" + std::string(reinterpret_cast<char*>(encoded), static_cast<size_t>(size)) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  }();
  return policy;
}

}  // namespace egret::agent
