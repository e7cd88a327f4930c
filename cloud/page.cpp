#include "cloud/page.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <string_view>

namespace egret::cloud {
namespace {

constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark; --line: #8884; --bad: #c62828; --warn: #b26a00; --good: #2e7d32; }
body { font: 16px/1.4 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 1rem; }
h1 { font-size: 1.25rem; margin: 0 0 .25rem; }
p { margin: .25rem 0; }
#stale { background: var(--bad); color: #fff; padding: .5rem .75rem; border-radius: .25rem; }
table { border-collapse: collapse; width: 100%; margin-top: .75rem; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.incident, .silent { color: var(--bad); font-weight: 600; }
.gap, .quarantine, .behind, .never { color: var(--warn); font-weight: 600; }
.ok { color: var(--good); }
.small { font-size: .85rem; opacity: .8; }
@media (max-width: 46rem) {
  thead { position: absolute; left: -9999px; }
  tr { display: block; border: 1px solid var(--line); border-radius: .5rem; margin-bottom: .75rem; padding: .25rem 0; }
  td, td.n { display: flex; justify-content: space-between; gap: 1rem; border: 0; padding: .2rem .75rem; text-align: right; }
  td::before { content: attr(data-name); font-weight: 600; text-align: left; }
}
)css";

constexpr std::string_view kScript = R"js(
'use strict';
const every = 5000;
let good = null;
const number = n => n === null || n === undefined ? '–' : n.toLocaleString();
const span = s => s === null ? 'never' : s < 90 ? Math.round(s) + ' s' : s < 5400 ? Math.round(s / 60) + ' min'
  : s < 172800 ? Math.round(s / 3600) + ' h' : Math.round(s / 86400) + ' days';
const columns = [
  ['Facility', f => f.facility],
  ['State', f => f.attention, f => f.attention.split(' ')[0]],
  ['Last seen', f => f.last_seen_age_s === null ? 'never' : span(f.last_seen_age_s) + ' ago'],
  ['Records', f => number(f.records), 'n'],
  ['Behind', f => number(f.behind), 'n'],
  ['Done in', f => f.behind === 0 ? '–' : f.eta_s === null ? 'unknown' : span(f.eta_s), 'n'],
  ['Oldest waiting', f => f.site.oldest_unsynced_s === 0 ? '–' : span(f.site.oldest_unsynced_s), 'n'],
  ['Shed', f => number(f.site.shed), 'n'],
  ['Refused', f => number(f.site.refused), 'n'],
  ['Gaps', f => number(f.gap_records), 'n'],
  ['Quarantined', f => number(f.quarantined), 'n'],
  ['Incidents', f => f.incidents.length === 0 ? '–' : f.incidents.map(i => i.kind).join(', ')],
  ['Disk', f => (f.site.disk_used_permille / 10).toFixed(0) + ' %', 'n'],
];
function element(name, text, kind) {
  const e = document.createElement(name);
  e.textContent = text;
  if (kind) e.className = kind;
  return e;
}
function show(answer) {
  const body = document.createElement('tbody');
  for (const f of answer.facilities) {
    const row = document.createElement('tr');
    for (const [name, text, kind] of columns) {
      const cell = element('td', text(f), typeof kind === 'function' ? kind(f) : kind);
      cell.dataset.name = name;
      row.append(cell);
    }
    body.append(row);
  }
  document.querySelector('tbody').replaceWith(body);
  const wanting = answer.facilities.filter(f => f.attention !== 'ok' && f.attention !== 'revoked').length;
  const all = answer.facilities.length;
  document.getElementById('summary').textContent = all === 0 ? 'No facility is registered yet.'
    : all + (all === 1 ? ' facility, ' : ' facilities, ') + (wanting === 0 ? 'all well.' : wanting + ' to look at.');
}
function stale(text) {
  const banner = document.getElementById('stale');
  banner.hidden = text === '';
  banner.textContent = text;
}
async function refresh() {
  try {
    const answer = await fetch('/api/facilities', { cache: 'no-store', signal: AbortSignal.timeout(10000) });
    if (!answer.ok) throw new Error('the server answered ' + answer.status);
    show(await answer.json());
    good = Date.now();
    stale('');
  } catch (error) {
    stale(good === null ? 'No data yet: ' + error.message
      : 'What you see is ' + span((Date.now() - good) / 1000) + ' old: ' + error.message);
  }
  setTimeout(refresh, every);
}
const head = document.querySelector('thead tr');
for (const [name, , kind] of columns) head.append(element('th', name, kind === 'n' ? 'n' : ''));
refresh();
)js";

std::string source_hash(std::string_view text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  unsigned char encoded[64];
  int size = EVP_EncodeBlock(encoded, digest, sizeof(digest));
  return "'sha256-" + std::string(reinterpret_cast<char*>(encoded), static_cast<size_t>(size)) +
         "'";
}

std::string build_page() {
  std::string out =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Egret: "
      "facilities</title>\n"
      "<link rel=\"icon\" href=\"data:,\">\n<style>";
  out += kStyle;
  out +=
      "</style>\n</head>\n<body>\n<h1>Egret: facilities</h1>\n<p id=\"stale\" role=\"alert\" "
      "hidden></p>\n"
      "<p id=\"summary\" aria-live=\"polite\">Loading …</p>\n"
      "<noscript><p>This page needs JavaScript. The same table: <code>egret-cloud "
      "facilities</code>.</p></noscript>\n"
      "<table>\n<thead><tr></tr></thead>\n<tbody></tbody>\n</table>\n"
      "<p class=\"small\">Those that want a person come first. <a "
      "href=\"/api/facilities\">JSON</a> · "
      "<a href=\"/healthz\">health</a> · <a href=\"/metrics\">metrics</a></p>\n<script>";
  out += kScript;
  out += "</script>\n</body>\n</html>\n";
  return out;
}

}  // namespace

const std::string& page_html() {
  static const std::string page = build_page();
  return page;
}

const std::string& page_policy() {
  static const std::string policy =
      "default-src 'none'; img-src data:; connect-src 'self'; style-src " + source_hash(kStyle) +
      "; script-src " + source_hash(kScript) +
      "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  return policy;
}

}  // namespace egret::cloud
