#include "agent/writer.h"

#include "schemas/limits.h"

namespace egret::agent {

Writer::Writer(edge::Buffer& buffer, std::function<Now()> clock, Post post, Events events)
    : buffer_(buffer), clock_(std::move(clock)), post_(std::move(post)), events_(std::move(events)), thread_([this] { loop(); }) {}

Writer::~Writer() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

bool Writer::append(edge::Unit unit, Done done) {
  size_t bytes = 0;
  for (const edge::LaneRecord& r : unit.records) bytes += r.record.size() + kLengthPrefixBytes;
  {
    std::lock_guard lock(mutex_);
    if (!appends_.empty() && queued_bytes_ + bytes > kWriterQueueBytesMax) return false;
    queued_bytes_ += bytes;
    appends_.push_back({std::move(unit), bytes, std::move(done), std::chrono::steady_clock::now()});
  }
  wake_.notify_one();
  return true;
}

void Writer::run(Job job) {
  {
    std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

Writer::Counters Writer::counters() const {
  std::lock_guard lock(mutex_);
  return counters_;
}

void Writer::loop() {
  for (;;) {
    std::deque<Waiting> group;
    std::deque<Job> jobs;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !appends_.empty() || !jobs_.empty(); });
      if (stopping_ && appends_.empty() && jobs_.empty()) return;
      group.swap(appends_);
      jobs.swap(jobs_);
      queued_bytes_ = 0;
    }
    commit(std::move(group));
    if (jobs.empty()) continue;
    for (Job& job : jobs) {
      if (failed_) break;
      if (Result<void> done = job(buffer_); !done && buffer_.failed()) report_failure(done.error());
    }
    if (!failed_) post_([view = buffer_.view(), tell = events_.view_changed]() mutable { tell(std::move(view)); });
  }
}

void Writer::commit(std::deque<Waiting> group) {
  if (group.empty()) return;
  std::vector<edge::Unit> units;
  uint64_t records = 0;
  for (Waiting& waiting : group) {
    records += waiting.unit.records.size();
    units.push_back(std::move(waiting.unit));
  }
  const auto begun = std::chrono::steady_clock::now();
  Result<edge::Places> synced = failed_ ? Error{Errc::store_failed, "the store is being opened again: send this once more in a moment"}
                                : buffer_.append(units, clock_().wall);
  if (synced) {
    const auto ended = std::chrono::steady_clock::now();
    const auto seconds_since = [&](auto then) { return std::chrono::duration<double>(ended - then).count(); };
    std::lock_guard lock(mutex_);
    counters_.commits++;
    counters_.records += records;
    counters_.commit_seconds.observe(seconds_since(begun));
    for (const Waiting& waiting : group) counters_.accept_seconds.observe(seconds_since(waiting.since));
  }
  // Each request hears the places of its own records.
  std::vector<std::pair<Done, Result<edge::Places>>> answers;
  auto from = synced ? synced->begin() : edge::Places::iterator();
  for (size_t i = 0; i < group.size(); i++) {
    if (!synced) {
      answers.emplace_back(std::move(group[i].done), synced.error());
      continue;
    }
    auto to = std::next(from, static_cast<std::ptrdiff_t>(units[i].records.size()));
    answers.emplace_back(std::move(group[i].done), edge::Places(from, to));
    from = to;
  }
  // Who has an answer and asks for the status sees in it what was answered.
  post_([answers = std::move(answers), view = buffer_.view(), ok = synced.has_value(), tell = events_.view_changed]() mutable {
    if (ok) tell(std::move(view));
    for (auto& [done, outcome] : answers) done(std::move(outcome));
  });
  if (!synced && !failed_ && buffer_.failed()) report_failure(synced.error());
}

void Writer::report_failure(const Error& error) {
  failed_ = true;
  post_([error, tell = events_.failed] { tell(error); });
}

}  // namespace egret::agent
