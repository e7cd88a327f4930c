#include "tests/storage/site.h"

#include <fmt/format.h>

#include "agent/memory.h"
#include "agent/notices.h"

namespace egret::test {
namespace {

constexpr int64_t kTickMs = 1'000;
constexpr uint64_t kRoom = uint64_t{1} << 40;

}  // namespace

using namespace egret::edge;

Site::Site(std::filesystem::path state_dir, Region& region, uint8_t run)
    : region_(region), run_(run), entropy_(run) {
  config_.facility = cloud::kFac;
  config_.state_dir = std::move(state_dir);
  config_.buffer.budget_mb = 4096;
  std::filesystem::create_directories(config_.state_dir);
}

Site::~Site() {
  close();
}

bool Site::start() {
  memory_ = agent::read_memory(config_.state_dir);
  if (!open()) return false;
  check_witness();
  tick();
  return true;
}

bool Site::open() {
  Result<agent::OpenStore> store =
      agent::open_agent_store(config_, entropy_, now().wall, distrust_.now());
  if (!store) {
    why_ = store.error().text;
    return false;
  }
  store_ = std::move(*store);
  view_ = store_.buffer->view();
  if (store_.set_aside) {
    distrust_ = {};
    notices_.push_back("set aside: " + store_.why);
  }
  begin_session();
  agent::Rescue::Ways ways;
  ways.run = [this](agent::Writer::Job job) { change(job); };
  ways.post = [this](std::function<void()> job) { posted_.push_back(std::move(job)); };
  ways.say = [this](const Message& what) { notices_.push_back(what.text()); };
  rescue_ = std::make_shared<agent::Rescue>(config_.state_dir, config_.facility, std::move(ways),
                                            rescue_from_);
  return true;
}

void Site::begin_session() {
  ++life_;
  SessionConfig config;
  config.facility = config_.facility;
  config.agent_version = "test";
  config.zstd_level = 1;
  const auto channel = [this] { return std::make_unique<ClearChannel>(run_++); };
  session_ =
      std::make_unique<Session>(config, *store_.buffer, channel, entropy_, memory_, view_, now());
}

void Site::close() {
  ++life_;
  rescue_.reset();
  session_.reset();
  store_.buffer.reset();
  posted_.clear();  // a rescue's answer holds the damaged store open
  store_.kv.reset();
}

void Site::reopen() {
  if (!session_) return;
  const Error why = store_.buffer->failure();
  notices_.push_back("store failed: " + why.text);
  ++reopens_;
  distrust_.failed(why);
  if (rescue_ && rescue_->busy()) rescue_from_ = now_ + kRescueRetryMs;
  close();
  if (!open()) reopen_at_ = now_ + kTickMs;
}

void Site::check_witness() {
  Result<Witness> witness = Witness::open(config_.state_dir / "witness");
  if (!witness) return notices_.push_back(witness.error().text);
  witness_ = std::move(*witness);
  const std::optional<WitnessPoint> last = witness_->last();
  if (!last) return;
  const StreamView* stream = view_.find({last->epoch, last->stream});
  tail_lost_ = stream ? is_shorter(view_, *last)
                      : !store_.buffer->finished_stream({last->epoch, last->stream}).has_value();
}

void Site::write_witness() {
  if (!witness_) return;
  const std::optional<WitnessPoint> point = witness_point(view_), last = witness_->last();
  if (!point || (last && last->epoch == point->epoch && last->records == point->records)) return;
  (void)witness_->write(*point);
}

void Site::tick() {
  next_tick_ = now_ + kTickMs;
  if (!session_) {
    if (now_ < reopen_at_) return;
    reopen_at_ = now_ + kTickMs;
    (void)open();
    return;
  }
  if (store_.buffer->failed()) return reopen();
  rescue_->tick(now_, kRoom);
  write_witness();
}

void Site::post(std::function<void()> job) {
  posted_.push_back([this, life = life_, job = std::move(job)] {
    if (life == life_) job();
  });
}

void Site::live(int64_t ms) {
  const MonoTime end = now_ + ms;
  while (now_ < end) {
    while (!posted_.empty()) {
      const auto job = std::move(posted_.front());
      posted_.pop_front();
      job();
    }
    MonoTime next = std::min(end, next_tick_);
    if (session_) next = std::min(next, session_->next_deadline());
    now_ = std::max(now_, next);
    if (session_ && session_->next_deadline() <= now_) drive(TimerFired{});
    if (next_tick_ <= now_) tick();
    if (posted_.empty() && session_ && session_->next_deadline() <= now_)
      now_ = now_ + 1;  // an answer takes time
  }
}

void Site::drive(const Event& event) {
  const uint64_t life = life_;
  for (Action& action : session_->step(event, now())) {
    if (life == life_) carry_out(action);
  }
}

void Site::carry_out(Action& action) {
  if (std::holds_alternative<Connect>(action)) {
    if (link_up) post([this] { drive(Connected{0, "broker"}); });
    if (!link_up) post([this] { drive(ConnectFailed{false, "no broker"}); });
  } else if (auto* p = std::get_if<Publish>(&action)) {
    publish(*p);
  } else if (auto* purge = std::get_if<Purge>(&action)) {
    change([&](Buffer& b) { return b.purge(purge->upto); });
  } else if (auto* move = std::get_if<Rehome>(&action)) {
    change([&](Buffer& b) { return b.rehome(move->key); });
  } else if (auto* blocks = std::get_if<RehomeBlocks>(&action)) {
    change([&](Buffer& b) { return b.rehome_blocks(blocks->key, blocks->first, blocks->last); });
  } else if (auto* park = std::get_if<Park>(&action)) {
    change([&](Buffer& b) { return b.park(park->key, park->first, park->reason); });
  } else if (auto* mark = std::get_if<MarkCorrupt>(&action)) {
    change([&](Buffer& b) { return b.mark_corrupt(mark->key, mark->first); });
  } else if (auto* unpark = std::get_if<Unpark>(&action)) {
    change([&](Buffer& b) -> Result<void> {
      const Result<uint64_t> done = b.unpark(unpark->stream);
      return done ? Result<void>{} : Result<void>(done.error());
    });
  } else if (auto* remember = std::get_if<Remember>(&action)) {
    memory_ = remember->memory;
    agent::write_memory(config_.state_dir, memory_);
  } else if (auto* notice = std::get_if<Notice>(&action)) {
    if (notice->kind != Notice::Kind::linked) notices_.push_back(agent::message_of(*notice).text());
  }
}

void Site::publish(Publish& publish) {
  post([this, token = publish.token] { drive(Published{token}); });
  if (publish.topic == TopicKind::up_bulk && !lanes_open) return;
  if (!lanes_open && parse_frame(publish.frame)->prefix.type == FrameType::batch) return;
  for (Bytes& answer : region_.hear(publish.topic, std::move(publish.frame), now())) {
    post([this, frame = std::move(answer)] { drive(FrameArrived{frame}); });
  }
}

void Site::change(const agent::Writer::Job& job) {
  const Result<void> done = job(*store_.buffer);
  if (!done && store_.buffer->failed()) return reopen();
  tell_view();
}

void Site::tell_view() {
  view_ = store_.buffer->view();
  post([this] { drive(ViewChanged{view_}); });
}

bool Site::accept(StreamId lane, const Bytes& record) {
  if (!session_) return false;
  Unit unit;
  unit.records.push_back({lane, record});
  Result<Places> places = store_.buffer->append(std::span(&unit, 1), now().wall);
  if (!places) {
    reopen();
    return false;
  }
  places_ = std::move(*places);
  tell_view();
  return true;
}

bool Site::settled() const {
  if (!session_ || !posted_.empty() || rescue_->busy() || view_.parked_blocks > 0) return false;
  if (agent::oldest_damaged_store(config_.state_dir)) return false;
  const SessionStatus status = session_->status();
  if (status.state != State::active) return false;
  for (const EpochView& e : view_.epochs) {
    for (size_t i = 0; i < kStreamCount; ++i) {
      const StreamView& s = e.streams[i];
      const Seq end = s.moved ? s.purged : s.head;
      if (session_->confirmed({e.id, StreamId(i)}) < end) return false;
    }
  }
  return true;
}

std::string Site::waits_for() const {
  if (!session_) return "the store is not open";
  const SessionStatus status = session_->status();
  std::string text =
      fmt::format("state {}: {}; {} jobs posted, rescue busy: {}, parked: {}", int(status.state),
                  status.why, posted_.size(), rescue_->busy(), view_.parked_blocks);
  if (const auto damaged = agent::oldest_damaged_store(config_.state_dir))
    text += "; waiting: " + damaged->filename().string();
  for (const EpochView& e : view_.epochs) {
    for (size_t i = 0; i < kStreamCount; ++i) {
      const StreamView& s = e.streams[i];
      const Seq end = s.moved ? s.purged : s.head, confirmed = session_->confirmed({e.id, StreamId(i)});
      if (confirmed < end) text += fmt::format("; stream {} confirmed {} of {}", i, confirmed.value, end.value);
    }
  }
  for (const RowStatus& row : status.rows) {
    const StreamView* s = view_.find(row.key);
    if (!s || row.confirmed >= (s->moved ? s->purged : s->head)) continue;
    text +=
        fmt::format("; epoch {:04x} {}: P {}, confirmed {}, head {}", row.key.epoch.value % 0x10000,
                    name_of(row.key.stream), s->purged.value, row.confirmed.value, s->head.value);
  }
  return text;
}

}  // namespace egret::test
