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
template <class Value>
  requires std::same_as<Value, Lasting> || std::same_as<Value, StreamId>
std::string both(Value value) {
  return both(shown(value, Language::english), shown(value, Language::chinese));
}
template <class... Args>
std::string both(PhraseFor<std::type_identity_t<Args>...> what, const Args&... in) {
  return both(said(what, Language::english, in...), said(what, Language::chinese, in...));
}

std::string utc(int64_t ms) { return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::gmtime(static_cast<std::time_t>(ms / 1000))); }

std::string head(simdjson::dom::element s) {
  const simdjson::dom::array todo = s["todo"];
  const bool linked = bool(s["linked"]), well = linked && todo.size() == 0;
  const Lasting since{int64_t(s["since_s"])};
  return fmt::format("<h1>Egret: {}</h1>\n<div class=\"word {}\" role=\"status\">{}</div>\n<p>{}</p>\n", safe(std::string_view(s["facility"])), well ? "well" : "look", well ? both(words::page_well) : both(words::page_look),
                     linked ? both(words::linked, since) : both(words::not_linked, since, Told{std::string(std::string_view(s["why"]))}));
}

std::string lanes(simdjson::dom::element s) {
  std::string out = fmt::format("<h2>{}</h2>\n<table>\n<tr><th></th><th class=\"n\">{}</th><th class=\"n\">{}</th><th class=\"n\">{}</th></tr>\n", both(words::page_lane), both(words::page_count), both(words::page_size),
                                both(words::page_oldest));
  for (size_t i = 0; i < kStreamCount; i++) {
    const simdjson::dom::element lane = s["lanes"][name_of(StreamId(i))];
    const uint64_t n = uint64_t(lane["records"]);
    out += fmt::format("<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n", both(StreamId(i)), count_text(n), n == 0 ? "" : shown(Size{uint64_t(lane["bytes"])}),
                       n == 0 ? "" : both(Lasting{int64_t(lane["oldest_s"])}));
  }
  out += "</table>\n";
  int64_t eta = 0;
  return s["drain_eta_s"].get(eta) == simdjson::SUCCESS ? out + "<p>" + both(words::all_sent, Lasting{eta}) + "</p>\n" : out;
}

std::string totals(simdjson::dom::element s) {
  std::string out = "<table>\n";
  const auto row = [&](PhraseFor<> name, const std::string& value) { out += fmt::format("<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td></tr>\n", both(name), value); };
  row(words::page_accepted, count_text(uint64_t(s["accepted"])));
  row(words::page_shed, count_text(uint64_t(s["shed"])));
  row(words::page_refused, count_text(uint64_t(s["refused"])));
  row(words::page_quarantined, count_text(uint64_t(s["quarantined"])));
  row(words::page_disk, shown(Size{uint64_t(s["disk"]["used_bytes"])}) + " / " + shown(Size{uint64_t(s["disk"]["budget_bytes"])}));
  return out + "</table>\n";
}

std::string todo(simdjson::dom::element s) {
  const simdjson::dom::array en = s["todo"], zh = s["todo_zh"];
  if (en.size() == 0) return "";
  std::string out = "<h2>" + both(words::page_todo) + "</h2>\n<ol>\n";
  for (size_t i = 0; i < en.size(); i++) out += "<li>" + both(std::string_view(en.at(i)), std::string_view(zh.at(i))) + "</li>\n";
  return out + "</ol>\n";
}

Phrase phrase_of(std::string_view code) {
  constexpr std::pair<std::string_view, Phrase> kCodes[] = {{"bad_input", words::refused_bad_input}, {"unknown_kind", words::refused_unknown_kind}, {"too_large", words::refused_too_large},
                                                            {"lane_full", words::refused_lane_full}, {"disk_full", words::refused_disk_full},       {"store_failed", words::refused_store_failed}};
  for (const auto& [known, phrase] : kCodes) {
    if (code == known) return phrase;
  }
  return words::refused_others;
}

std::string refusals(simdjson::dom::element s) {
  std::string rows;
  for (auto one : simdjson::dom::array(s["refusals"])) {
    const Phrase why = phrase_of(std::string_view(one["code"]));
    rows += fmt::format("<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td></tr>\n", both(why.in(Language::english), why.in(Language::chinese)), safe(std::string_view(one["field"])), count_text(uint64_t(one["records"])));
  }
  if (rows.empty()) return "";
  return fmt::format("<h2>{}</h2>\n<table>\n<tr><th>{}</th><th>{}</th><th class=\"n\">{}</th></tr>\n{}</table>\n", both(words::page_refusals, utc(int64_t(s["started_ms"]))), both(words::page_reason), both(words::page_field),
                     both(words::page_count), rows);
}

// The newest first.
std::string news(simdjson::dom::element s) {
  std::string rows;
  for (auto one : simdjson::dom::array(s["notices"])) rows = fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", utc(int64_t(one["at_ms"])), both(std::string_view(one["text"]), std::string_view(one["text_zh"]))) + rows;
  return rows.empty() ? "" : "<h2>" + both(words::page_news) + "</h2>\n<table>\n" + rows + "</table>\n";
}

}  // namespace

Result<std::string> clinic_page(ByteView json) {
  simdjson::dom::parser parser;
  simdjson::dom::element s;
  if (parser.parse(simdjson::padded_string(json)).get(s) != simdjson::SUCCESS) return Error{Errc::bad_input, "not the status of an agent"};
  try {
    const std::string facility{std::string_view(s["facility"])};
    return fmt::format("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"refresh\" content=\"10\">\n"
                       "<title>Egret: {0}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>{1}</style>\n</head>\n<body>\n{2}{3}{4}{5}{6}{7}<p><a href=\"v1/support\" download=\"egret-{0}-support.json\">{8}</a></p>\n<p>{9}</p>\n</body>\n</html>\n",
                       safe(facility), kStyle, head(s), todo(s), lanes(s), totals(s), refusals(s), news(s), both(words::page_support), both(words::page_as_of, utc(int64_t(s["now_ms"]))));
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
