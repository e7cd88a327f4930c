#include "tests/fleet/core.h"

#include <algorithm>

#include "agent/host.h"
#include "schemas/limits.h"
#include "tests/sim/seeded_entropy.h"

namespace egret {

using namespace edge;

namespace {

constexpr int64_t kRefusedAfterMs = 50;  // that nobody answers on a line that is cut
constexpr size_t kShedBlocksAtOnce = 256;

int64_t now_ms() { return agent::now().mono.ms; }

}  // namespace

SitePrivateKey key_of_seed(uint64_t seed) {
  SeededEntropy seeded(seed);
  return make_site_key(seeded);
}

Core::Core(Options options, Jobs& jobs) : options_(std::move(options)), jobs_(jobs) { memory_.herd_window_ms = options_.herd_ms; }

void Core::switch_on() {
  if (!buffer_) buffer_ = Buffer::open(kv_, options_.link.facility, entropy_).value();
}

void Core::connect() {
  if (!buffer_ || session_) return;
  run_++;
  SessionConfig config;
  config.facility = options_.link.facility;
  config.agent_version = EGRET_VERSION;
  config.reconnect_max_ms = options_.reconnect_max_ms;
  session_ = std::make_unique<Session>(config, *buffer_, [this] { return open_edge_channel(options_.link.facility, options_.region, key_of_seed(options_.key_seed), entropy_); }, entropy_, memory_, buffer_->view(), agent::now());
  link_ = std::make_unique<Link>(options_.link, jobs_.post(), [this](Event event) { heard(std::move(event)); });
  started_ms_ = now_ms();
  look_at_disk();
  wait();
}

void Core::switch_off() {
  run_++;
  connection_++;
  line_ = Line::down;
  link_.reset();
  session_.reset();
  buffer_.reset();
}

Result<void> Core::append(Unit unit, WallTime at) {
  if (!buffer_) return Error{Errc::config, "no power"};
  const bool telemetry = std::ranges::all_of(unit.records, [](const LaneRecord& r) { return r.stream == StreamId::telemetry; });
  if (telemetry ? decision_.refuse_telemetry : decision_.refuse_results) {
    buffer_->count_refused(unit.records.size());
    return Error{Errc::disk_full, "the disk is as full as it may be"};
  }
  if (auto done = buffer_->append(std::span(&unit, 1), at); !done) return done.error();
  if (session_) drive(ViewChanged{buffer_->view()});
  return {};
}

void Core::cut(bool is) {
  cut_ = is;
  if (!cut_ || line_ == Line::down) return;
  connection_++;
  link_->carry_out(Disconnect{});
  const bool was_up = line_ == Line::up;
  line_ = Line::down;
  if (was_up) return drive(Disconnected{"the line is cut"});
  drive(ConnectFailed{false, "the line is cut"});
}

void Core::thin(uint64_t bytes_per_s) { bytes_per_s_ = bytes_per_s; }

void Core::small_disk(uint64_t bytes_for_data) {
  disk_bytes_ = bytes_for_data;
  look_at_disk();
}

void Core::look_at_disk() {
  if (!session_) return;
  if (disk_bytes_ == 0) {
    decision_ = {};
    session_->set_vitals({uint32_t(kv_.disk_bytes() * 1000 / (256 * kMiB))});
    return;
  }
  const uint64_t budget = disk_bytes_ + kBallastBytes + kReserveBytes;
  decision_ = budget_.decide({kv_.disk_bytes(), budget, budget, 0});
  session_->set_vitals({uint32_t(std::min<uint64_t>(kv_.disk_bytes() * 1000 / disk_bytes_, 1000))});
  if (decision_.purge_exposed_telemetry) drive(DiskPressed{});
  if (decision_.shed_bytes > 0) shed(decision_.shed_bytes);
}

// Oldest first, and only what the region has not confirmed: the rest is purged.
void Core::shed(uint64_t bytes) {
  const auto above = [this](EpochId epoch) { return session_->confirmed({epoch, StreamId::telemetry}); };
  bool any = false;
  for (size_t i = 0; i < std::clamp<size_t>(bytes / kBlockRawBytesMax, 1, kShedBlocksAtOnce); i++) {
    const auto gone = buffer_->shed_oldest(above);
    if (!gone || *gone == 0) break;
    any = true;
  }
  if (any) drive(ViewChanged{buffer_->view()});
}

bool Core::linked() const { return session_ && session_->status().state == State::active; }

uint64_t Core::waiting() const {
  if (!buffer_) return 0;
  const std::vector<RowStatus> rows = session_ ? session_->status().rows : std::vector<RowStatus>();
  uint64_t out = 0;
  for (const EpochView& epoch : buffer_->view().epochs) {
    for (size_t stream = 0; stream < kStreamCount; stream++) {
      const StreamView& held = epoch.streams[stream];
      if (held.empty() || held.done()) continue;
      const auto row = std::ranges::find(rows, StreamKey{epoch.id, StreamId(stream)}, &RowStatus::key);
      const Seq acknowledged = row == rows.end() ? held.purged : std::max(held.purged, row->cursor);
      out += held.head.value - acknowledged.value;
    }
  }
  return out;
}

void Core::wait() {
  const MonoTime at = session_->next_deadline();
  if (at.ms == INT64_MAX) return;
  jobs_.at(at.ms, [this, at, run = run_] {
    if (run == run_ && session_ && session_->next_deadline() == at) drive(TimerFired{});
  });
}

void Core::heard(Event event) {
  if (!session_) return;
  if (std::holds_alternative<Connected>(event)) line_ = Line::up;
  if (std::holds_alternative<ConnectFailed>(event) || std::holds_alternative<Disconnected>(event)) line_ = Line::down;
  drive(event);
}

void Core::drive(const Event& event) {
  bool wrote = false;
  for (Action& action : session_->step(event, agent::now())) wrote = carry_out(std::move(action)) || wrote;
  if (greeted_ms_ < 0 && linked()) greeted_ms_ = now_ms() - started_ms_;
  if (wrote) return drive(ViewChanged{buffer_->view()});
  wait();
}

// True: the buffer has changed.
bool Core::carry_out(Action action) {
  if (auto* a = std::get_if<Connect>(&action)) return connect(*a), false;
  if (auto* a = std::get_if<Disconnect>(&action)) return connection_++, line_ = Line::down, link_->carry_out(*a), false;
  if (auto* a = std::get_if<Publish>(&action)) return publish(std::move(*a)), false;
  if (auto* a = std::get_if<Remember>(&action)) return memory_ = a->memory, false;
  if (auto* a = std::get_if<Notice>(&action)) return holds_ += a->kind == Notice::Kind::held, false;
  if (auto* a = std::get_if<Purge>(&action)) return buffer_->purge(a->upto).has_value();
  if (auto* a = std::get_if<Rehome>(&action)) return buffer_->rehome(a->key).has_value();
  if (auto* a = std::get_if<RehomeBlocks>(&action)) return buffer_->rehome_blocks(a->key, a->first, a->last).has_value();
  if (auto* a = std::get_if<Park>(&action)) return buffer_->park(a->key, a->first, a->reason).has_value();
  if (auto* a = std::get_if<MarkCorrupt>(&action)) return buffer_->mark_corrupt(a->key, a->first).has_value();
  if (auto* a = std::get_if<Unpark>(&action)) return buffer_->unpark(a->stream).has_value();
  return false;
}

void Core::connect(const edge::Connect& action) {
  connection_++;
  line_free_ms_ = 0;
  if (!cut_) {
    line_ = Line::asked;
    return link_->carry_out(action);
  }
  jobs_.at(now_ms() + kRefusedAfterMs, [this, run = run_] {
    if (run == run_ && session_) drive(ConnectFailed{false, "the line is cut"});
  });
}

// On a thin line a frame is there when all bytes of it, and of those before it, have gone through.
void Core::publish(Publish action) {
  if (bytes_per_s_ == 0 && line_free_ms_ <= now_ms()) return link_->carry_out(std::move(action));
  const uint64_t rate = bytes_per_s_ == 0 ? UINT64_MAX : bytes_per_s_;
  line_free_ms_ = std::max(line_free_ms_, now_ms()) + int64_t(action.frame.size() * 1000 / rate);
  auto shared = std::make_shared<Publish>(std::move(action));
  jobs_.at(line_free_ms_, [this, shared, connection = connection_] {
    if (connection == connection_ && line_ == Line::up) link_->carry_out(std::move(*shared));
  });
}

}  // namespace egret
