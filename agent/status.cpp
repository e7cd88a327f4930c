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

std::string count_text(uint64_t n) {
  std::string digits = std::to_string(n), out;
  for (size_t i = 0; i < digits.size(); i++) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string records_text(uint64_t n) { return count_text(n) + (n == 1 ? " record" : " records"); }

}  // namespace

std::string duration_text(int64_t s) {
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min", s / 60);
  if (s < 48 * 3600) return fmt::format("{} h {} min", s / 3600, s % 3600 / 60);
  return fmt::format("{} days", s / 86400);
}

std::string bytes_text(uint64_t bytes) {
  if (bytes < 10 * kKiB) return fmt::format("{} bytes", bytes);
  if (bytes < 10 * kMiB) return fmt::format("{} KiB", bytes / kKiB);
  return fmt::format("{} MiB", bytes / kMiB);
}

std::vector<std::string> todo_of(const StatusFacts& f) {
  std::vector<std::string> out;
  int64_t down_s = (f.now_ms - f.since_ms) / 1000;
  if (f.session.state == edge::State::down && down_s > 600) out.push_back("no link for " + duration_text(down_s) + ": run egret-agent doctor; nothing is lost while the disk has room");
  if (f.session.state == edge::State::held) out.push_back("the cloud holds this site back: " + f.session.why);
  const std::string refused = "new records are refused until there is room, what was accepted is kept: ";
  if (f.disk_budget_bytes > 0 && f.disk_free_bytes < kReserveBytes) {
    out.push_back(fmt::format("the disk is full ({} free): {}make room on this file system", bytes_text(f.disk_free_bytes), refused));
  } else if (f.disk_budget_bytes > 0 && f.disk_used_bytes + kBallastBytes + kReserveBytes >= f.disk_budget_bytes) {
    out.push_back("the disk budget is used up: " + refused + "restore the link or raise buffer.budget_mb");
  }
  if (f.disk_days_left >= 0 && f.disk_days_left < 3) out.push_back("the disk budget is full in under 3 days: restore the link or raise buffer.budget_mb");
  if (f.view.parked_blocks > 0) out.push_back(fmt::format("{} blocks are parked: tell the cloud's operators; they are kept here", f.view.parked_blocks));
  if (f.session.quarantined > 0) out.push_back(fmt::format("{} records were refused by the region and are kept there with a reason: ask for egret-cloud quarantine ls", f.session.quarantined));
  if (!f.lost_tail.empty()) out.push_back("the disk came back shorter than it was: " + f.lost_tail);
  return out;
}

std::string status_json(const StatusFacts& f) {
  const edge::SessionStatus& s = f.session;
  const edge::Counters& c = f.view.counters;
  bool linked = s.state == edge::State::active;
  std::string out = fmt::format(
      R"({{"facility":{},"version":"{}","pid":{},"started_ms":{},"state":"{}","linked":{},"since_ms":{},"since_s":{},"why":{},"store":"{}","store_id":"{}",)",
      as_json(f.facility), EGRET_VERSION, f.pid, f.started_ms, edge::name_of(s.state), linked, f.since_ms, (f.now_ms - f.since_ms) / 1000,
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
  out += "],\"todo\":[";
  std::vector<std::string> todo = todo_of(f);
  for (size_t i = 0; i < todo.size(); i++) out += (i == 0 ? std::string() : std::string(",")) + as_json(todo[i]);
  return out + "]}";
}

Result<std::string> status_text(ByteView json) {
  simdjson::dom::parser parser;
  simdjson::dom::element s;
  if (parser.parse(simdjson::padded_string(json)).get(s) != simdjson::SUCCESS) return Error{Errc::bad_input, "not the status of an agent"};
  try {
    auto u = [](simdjson::dom::element e) { return uint64_t(e); };
    std::string out = fmt::format("{}  (agent {})\n", std::string_view(s["facility"]), std::string_view(s["version"]));
    int64_t since = int64_t(s["since_s"]);
    if (bool(s["linked"])) {
      out += fmt::format("  linked to the cloud for {}\n", duration_text(since));
    } else {
      out += fmt::format("  NOT linked for {}: {}\n", duration_text(since), std::string_view(s["why"]));
    }
    out += "  waiting to be confirmed:\n";
    for (auto [name, lane] : simdjson::dom::object(s["lanes"])) {
      uint64_t n = u(lane["records"]);
      out += n == 0 ? fmt::format("    {:10} nothing\n", name)
                    : fmt::format("    {:10} {}, {}, oldest {}\n", name, records_text(n), bytes_text(u(lane["bytes"])), duration_text(int64_t(lane["oldest_s"])));
    }
    int64_t eta = 0;
    if (s["drain_eta_s"].get(eta) == simdjson::SUCCESS) out += fmt::format("  all sent in about {}\n", duration_text(eta));
    out += fmt::format("  accepted {}; shed {}; refused {}; kept by the region with a reason {}\n", records_text(u(s["accepted"])),
                       count_text(u(s["shed"])), count_text(u(s["refused"])), count_text(u(s["quarantined"])));
    double days = 0;
    bool growing = s["disk"]["days_left"].get(days) == simdjson::SUCCESS;
    out += fmt::format("  disk: {} of {} used{}\n", bytes_text(u(s["disk"]["used_bytes"])), bytes_text(u(s["disk"]["budget_bytes"])),
                       growing ? fmt::format(", full in {:.1f} days at this rate", days) : "");
    simdjson::dom::array todo = s["todo"];
    if (todo.size() == 0) out += "  nothing to do\n";
    for (std::string_view line : todo) out += fmt::format("  -> {}\n", line);
    return out;
  } catch (const simdjson::simdjson_error&) {
    return Error{Errc::bad_input, "the status of an agent of another version: use --json"};
  }
}

}  // namespace egret::agent
