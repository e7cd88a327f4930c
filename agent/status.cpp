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
  const auto say = [&]<class... Args>(PhraseFor<std::type_identity_t<Args>...> what, const Args&... args) { out.push_back({said(what, Language::english, args...), said(what, Language::chinese, args...)}); };
  const int64_t down_s = (f.now_ms - f.since_ms) / 1000;
  if (f.session.state == edge::State::down && down_s > 600) say(words::todo_no_link, Lasting{down_s});
  if (f.session.state == edge::State::held) say(words::todo_held, Told{f.session.why});
  if (f.disk_budget_bytes > 0 && f.disk_free_bytes < kReserveBytes) {
    say(words::todo_disk_full, Size{f.disk_free_bytes});
  } else if (f.disk_budget_bytes > 0 && f.disk_used_bytes + kBallastBytes + kReserveBytes >= f.disk_budget_bytes) {
    say(words::todo_budget_full);
  }
  if (f.disk_days_left >= 0 && f.disk_days_left < 3) say(words::todo_budget_soon);
  if (f.view.parked_blocks > 0) say(words::todo_parked, f.view.parked_blocks);
  if (f.session.quarantined > 0) say(words::todo_quarantined, f.session.quarantined);
  if (f.lost_tail) out.push_back({said(*f.lost_tail, Language::english), said(*f.lost_tail, Language::chinese)});
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
  out += ",\"lost_tail\":" + (f.lost_tail ? as_json(f.lost_tail->text()) : std::string("null")) + ",\"notices\":[";
  for (size_t i = 0; i < f.notices.size(); i++) {
    const auto& [at_ms, message] = f.notices[i];
    out += fmt::format(R"({}{{"at_ms":{},"event":"{}","text":{},"text_zh":{}}})", i == 0 ? "" : ",", at_ms, message.event->id, as_json(message.text()), as_json(said(message, Language::chinese)));
  }
  out += "],\"refusals\":[";
  for (size_t i = 0; i < f.refusals.size(); i++) {
    const Refusals::Reason& r = f.refusals[i];
    out += fmt::format(R"({}{{"code":"{}","field":{},"records":{},"last_ms":{}}})", i == 0 ? "" : ",", r.code, as_json(r.field), r.records, r.last_ms);
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
  try {
    auto u = [](simdjson::dom::element e) { return uint64_t(e); };
    std::string out = fmt::format("{}  (agent {})\n", std::string_view(s["facility"]), std::string_view(s["version"]));
    const Lasting since{int64_t(s["since_s"])};
    out += "  " + (bool(s["linked"]) ? said(words::linked, in, since) : said(words::not_linked, in, since, Told{std::string(std::string_view(s["why"]))})) + "\n";
    out += "  " + said(words::waiting, in) + "\n";
    for (size_t i = 0; i < kStreamCount; i++) {
      const simdjson::dom::element lane = s["lanes"][name_of(StreamId(i))];
      const Records waiting{u(lane["records"])};
      out += fmt::format("    {:10} {}\n", shown(StreamId(i), in),
                         waiting.n == 0 ? said(words::nothing, in) : said(words::lane_line, in, waiting, Size{u(lane["bytes"])}, Lasting{int64_t(lane["oldest_s"])}));
    }
    int64_t eta = 0;
    if (s["drain_eta_s"].get(eta) == simdjson::SUCCESS) out += "  " + said(words::all_sent, in, Lasting{eta}) + "\n";
    out += "  " + said(words::totals, in, Records{u(s["accepted"])}, count_text(u(s["shed"])), count_text(u(s["refused"])), count_text(u(s["quarantined"]))) + "\n";
    double days = 0;
    const bool growing = s["disk"]["days_left"].get(days) == simdjson::SUCCESS;
    out += "  " + said(words::disk, in, Size{u(s["disk"]["used_bytes"])}, Size{u(s["disk"]["budget_bytes"])}) + (growing ? said(words::disk_full_in, in, fmt::format("{:.1f}", days)) : "") + "\n";
    simdjson::dom::array todo = s[in == Language::chinese ? "todo_zh" : "todo"];
    if (todo.size() == 0) out += "  " + said(words::nothing_to_do, in) + "\n";
    for (std::string_view line : todo) out += fmt::format("  -> {}\n", line);
    return out;
  } catch (const simdjson::simdjson_error&) {
    return Error{Errc::bad_input, "the status of an agent of another version: use --json"};
  }
}

}  // namespace egret::agent
