#include "agent/status.h"

#include <simdjson.h>
#include <spdlog/fmt/fmt.h>

#include "schemas/limits.h"
#include "schemas/record_json_syntax.h"

namespace egret::agent {
namespace {

std::string as_json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

std::string epoch_text(EpochId epoch) { return fmt::format("{:016x}", epoch.value); }

std::string lanes_json(const StatusFacts& f) {
  std::string out = "\"lanes\":{";
  LaneFacts all;
  for (size_t i = 0; i < kStreamCount; i++) {
    const LaneFacts& lane = f.lanes[i];
    out += fmt::format(R"({}"{}":{{"records":{},"bytes":{},"oldest_s":{}}})", i == 0 ? "" : ",", name_of(static_cast<StreamId>(i)),
                       lane.records, lane.bytes, lane.oldest_s);
    all.records += lane.records;
    all.bytes += lane.bytes;
    all.oldest_s = std::max(all.oldest_s, lane.oldest_s);
  }
  return out + fmt::format(R"(}},"waiting":{{"records":{},"bytes":{},"oldest_s":{}}})", all.records, all.bytes, all.oldest_s);
}

std::string rows_json(const StatusFacts& f) {
  std::string out = "\"rows\":[";
  bool first = true;
  for (const edge::EpochView& epoch : f.view.epochs) {
    for (size_t i = 0; i < kStreamCount; i++) {
      const edge::StreamView& stream = epoch.streams[i];
      if (stream.empty()) continue;
      StreamKey key{epoch.id, static_cast<StreamId>(i)};
      edge::RowStatus row;
      for (const edge::RowStatus& r : f.session.rows) {
        if (r.key == key) row = r;
      }
      out += fmt::format(R"({}{{"epoch":"{}","stream":"{}","head":{},"cursor":{},"sent":{},"confirmed":{},"safe":{},"purged":{},"final":{},"moved":{}}})",
                         first ? "" : ",", epoch_text(epoch.id), name_of(key.stream), stream.head.value, row.cursor.value, row.sent.value,
                         row.confirmed.value, row.safe.value, stream.purged.value, epoch.final, stream.moved);
      first = false;
    }
  }
  return out + "]";
}

}  // namespace

std::vector<Todo> todo_of(const StatusFacts& f) {
  std::vector<Todo> out;
  const auto say = [&](Phrase phrase, const auto&... in) {
    const auto one = [&](Language language) { return fmt::format(fmt::runtime(text_of(phrase, language)), in(language)...); };
    out.push_back({one(Language::english), one(Language::chinese)});
  };
  const auto plain = [](const std::string& text) { return [text](Language) { return text; }; };
  const auto number = [](uint64_t n) { return [n](Language) { return std::to_string(n); }; };
  const int64_t down_s = (f.now_ms - f.since_ms) / 1000;
  if (f.session.state == edge::State::down && down_s > 600) say(Phrase::todo_no_link, [&](Language in) { return duration_text(down_s, in); });
  if (f.session.state == edge::State::held) say(Phrase::todo_held, plain(f.session.why));
  if (f.disk_budget_bytes > 0 && f.disk_free_bytes < kReserveBytes) {
    say(Phrase::todo_disk_full, [&](Language in) { return bytes_text(f.disk_free_bytes, in); });
  } else if (f.disk_budget_bytes > 0 && f.disk_used_bytes + kBallastBytes + kReserveBytes >= f.disk_budget_bytes) {
    say(Phrase::todo_budget_full);
  }
  if (f.disk_days_left >= 0 && f.disk_days_left < 3) say(Phrase::todo_budget_soon);
  if (f.view.parked_blocks > 0) say(Phrase::todo_parked, number(f.view.parked_blocks));
  if (f.session.quarantined > 0) say(Phrase::todo_quarantined, number(f.session.quarantined));
  if (!f.lost_tail.empty()) say(Phrase::todo_shorter, plain(f.lost_tail));
  return out;
}

std::string status_json(const StatusFacts& f) {
  const edge::SessionStatus& s = f.session;
  const edge::Counters& c = f.view.counters;
  bool linked = s.state == edge::State::active;
  std::string out = fmt::format(
      R"({{"facility":{},"version":"{}","pid":{},"started_ms":{},"state":"{}","linked":{},"since_ms":{},"since_s":{},"now_ms":{},"why":{},"store":"{}","store_id":"{}",)",
      as_json(f.facility), EGRET_VERSION, f.pid, f.started_ms, edge::name_of(s.state), linked, f.since_ms, (f.now_ms - f.since_ms) / 1000, f.now_ms,
      as_json(s.why), f.store_state, hex(view(f.view.store_id)));
  out += lanes_json(f);
  out += fmt::format(R"(,"drain_eta_s":{},"accepted":{},"shed":{},"refused":{},"corrupt":{},"exposed":{},"parked_blocks":{},"quarantined":{})",
                     f.drain_eta_s < 0 ? "null" : std::to_string(f.drain_eta_s), c.accepted, c.shed, c.refused, c.corrupt, c.exposed,
                     f.view.parked_blocks, s.quarantined);
  out += fmt::format(R"(,"disk":{{"used_bytes":{},"budget_bytes":{},"free_bytes":{},"days_left":{}}},"epoch":{},"finished_epochs":{},)",
                     f.disk_used_bytes, f.disk_budget_bytes, f.disk_free_bytes,
                     f.disk_days_left < 0 ? "null" : fmt::format("{:.1f}", f.disk_days_left),
                     f.view.current.value == 0 ? "null" : "\"" + epoch_text(f.view.current) + "\"", f.view.finished_count);
  out += rows_json(f);
  out += fmt::format(
      R"(,"counters":{{"frames_sent":{},"frames_resent":{},"bytes_sent":{},"stray_frames":{},"w_falls":{},"link_bytes_per_s":{},"commits":{},"commit_records":{},"reopens":{},"requests":{},"connections":{}}})",
      s.frames_sent, s.frames_resent, s.bytes_sent, s.stray_frames, s.w_falls, s.link_bytes_per_s, f.commits, f.commit_records,
      f.reopens, f.requests, f.connections);
  out += ",\"lost_tail\":" + (f.lost_tail.empty() ? std::string("null") : as_json(f.lost_tail)) + ",\"notices\":[";
  for (size_t i = 0; i < f.notices.size(); i++) {
    out += fmt::format(R"({}{{"at_ms":{},"text":{}}})", i == 0 ? "" : ",", f.notices[i].at_ms, as_json(f.notices[i].text));
  }
  std::string todo, todo_zh;
  for (const Todo& one : todo_of(f)) {
    todo += (todo.empty() ? "" : ",") + as_json(one.en);
    todo_zh += (todo_zh.empty() ? "" : ",") + as_json(one.zh);
  }
  return out + "],\"todo\":[" + todo + "],\"todo_zh\":[" + todo_zh + "]}";
}

Result<std::string> status_text(ByteView json, Language in) {
  simdjson::dom::parser parser;
  simdjson::dom::element s;
  if (parser.parse(simdjson::padded_string(json)).get(s) != simdjson::SUCCESS) return Error{Errc::bad_input, "not the status of an agent"};
  const auto say = [&](Phrase phrase, const auto&... with) { return fmt::format(fmt::runtime(text_of(phrase, in)), with...); };
  try {
    auto u = [](simdjson::dom::element e) { return uint64_t(e); };
    std::string out = fmt::format("{}  (agent {})\n", std::string_view(s["facility"]), std::string_view(s["version"]));
    const std::string since = duration_text(int64_t(s["since_s"]), in);
    out += "  " + (bool(s["linked"]) ? say(Phrase::linked, since) : say(Phrase::not_linked, since, std::string_view(s["why"]))) + "\n";
    out += "  " + say(Phrase::waiting) + "\n";
    for (auto [name, lane] : simdjson::dom::object(s["lanes"])) {
      const uint64_t n = u(lane["records"]);
      out += fmt::format("    {:10} {}\n", name, n == 0 ? say(Phrase::nothing) : say(Phrase::lane_line, records_text(n, in), bytes_text(u(lane["bytes"]), in), duration_text(int64_t(lane["oldest_s"]), in)));
    }
    int64_t eta = 0;
    if (s["drain_eta_s"].get(eta) == simdjson::SUCCESS) out += "  " + say(Phrase::all_sent, duration_text(eta, in)) + "\n";
    out += "  " + say(Phrase::totals, records_text(u(s["accepted"]), in), count_text(u(s["shed"])), count_text(u(s["refused"])), count_text(u(s["quarantined"]))) + "\n";
    double days = 0;
    const bool growing = s["disk"]["days_left"].get(days) == simdjson::SUCCESS;
    out += "  " + say(Phrase::disk, bytes_text(u(s["disk"]["used_bytes"]), in), bytes_text(u(s["disk"]["budget_bytes"]), in)) + (growing ? say(Phrase::disk_full_in, fmt::format("{:.1f}", days)) : "") + "\n";
    simdjson::dom::array todo = s[in == Language::chinese ? "todo_zh" : "todo"];
    if (todo.size() == 0) out += "  " + say(Phrase::nothing_to_do) + "\n";
    for (std::string_view line : todo) out += fmt::format("  -> {}\n", line);
    return out;
  } catch (const simdjson::simdjson_error&) {
    return Error{Errc::bad_input, "the status of an agent of another version: use --json"};
  }
}

}  // namespace egret::agent
