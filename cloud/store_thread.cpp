#include "cloud/store_thread.h"


#include <chrono>
#include <deque>
#include <mutex>
#include <thread>

#include "cloud/alerts.h"
#include "cloud/crew.h"
#include "cloud/follower.h"
#include "cloud/log.h"
#include "cloud/merge/moment.h"
#include "cloud/metrics.h"
#include "cloud/readers.h"

namespace egret::cloud {
namespace {

constexpr size_t kHelpers = 1;  // more wait for the thread that reads and writes the store
constexpr size_t kReaders = 2;
constexpr int64_t kIdleWaitMs = 500;
constexpr int64_t kReopenFirstMs = 500;
constexpr int64_t kReopenMaxMs = 30'000;
constexpr int64_t kLookEveryMs = 10'000;           // at the facilities, for the metrics
constexpr int64_t kTidyEveryMs = 6 * 3600 * 1000;  // sessions that nobody uses any more
constexpr size_t kViewBlocksAStep = 8;              // some milliseconds, and a sync
constexpr int64_t kQuietMs = 50;                   // nothing has come for this long: the views' turn, again and again
constexpr int64_t kViewsWaitMs = 250;              // at most, for commits that come before them
constexpr int64_t kViewsAfterFailureMs = 5'000;
constexpr int64_t kAlertsEveryMs = 1'000;

MonoTime mono_now() {
  auto since = std::chrono::steady_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::milliseconds>(since).count()};
}

}  // namespace

Now clock_now() {
  auto since = std::chrono::system_clock::now().time_since_epoch();
  return {mono_now(), {std::chrono::duration_cast<std::chrono::microseconds>(since).count()}};
}

struct StoreThread::Impl {
  Impl(Parts p, OpenedStore first) : parts(std::move(p)), opened(std::move(first)) { adopt(); }

  void run();
  void adopt();
  void lost(std::string why);
  bool still_there();
  void close();
  void try_open();
  void run_jobs();
  void commit(std::vector<Inbound> group);
  void count_progress(const std::vector<Inbound>& group, const CommitReport& report);
  void look_around();
  void look_for_metrics(WallTime now);
  void follow();
  void tend_alerts();
  int64_t wait_ms() const;
  void beat();

  const Parts parts;
  Crew crew{kHelpers};
  Readers readers{kReaders};
  // The store thread's own.
  OpenedStore opened;  // empty while the store is down
  std::unique_ptr<Reconciler> reconciler;
  std::unique_ptr<Committer> committer;
  std::unique_ptr<Follower> follower;
  bool views_behind = true;  // as far as is known
  bool views_failed = false;
  bool quiet = false;  // nothing has come
  MonoTime next_views;  // takes its turn then, whoever waits
  uint64_t unreadable_told = 0;
  Progress progress;
  WaitingFindings findings;
  MonoTime next_look, next_tidy, next_open, next_alerts;
  int64_t reopen_wait_ms = kReopenFirstMs;

  mutable std::mutex lock;  // guards what follows
  std::deque<Job> jobs;
  StoreHealth health;
  std::atomic<bool> stopping{false};
  std::atomic<int64_t> beat_ms{0};
  std::thread thread;
};

// The store is open: everything that works on it is made anew, for its memory is the old store's.
void StoreThread::Impl::adopt() {
  const EachOf each = [this](size_t n, const std::function<void(size_t)>& piece) { crew.each(n, piece); };
  ReconcilerConfig config = parts.reconciler;
  config.each = each;
  opened.store->work_with(each);
  reconciler = std::make_unique<Reconciler>(std::move(config), *parts.keys, *parts.entropy);
  committer = std::make_unique<Committer>(*opened.store, *reconciler);
  follower = std::make_unique<Follower>(*opened.kv);
  readers.open(*opened.kv);
  findings = {};
  views_behind = true;
  reopen_wait_ms = kReopenFirstMs;
  std::lock_guard held(lock);
  health.healthy = true;
  health.why.clear();
}

void StoreThread::Impl::lost(std::string why) {
  log("store_lost", Told{why});
  parts.broker->accept(false);
  close();
  next_open = mono_now() + reopen_wait_ms;
  std::lock_guard held(lock);
  health.healthy = false;
  health.why = std::move(why);
}

// After something failed. An empty synced write tells; without frames nothing else would, and a reconciler that nobody sends
// to would sit on a dead connection for good.
bool StoreThread::Impl::still_there() {
  const Result<void> probe = opened.kv->write({}, true);
  if (!probe) lost(probe.error().text);
  return probe.has_value();
}

void StoreThread::Impl::close() {
  readers.close();
  follower.reset();
  committer.reset();
  reconciler.reset();
  opened.store.reset();
  opened.kv.reset();
}

void StoreThread::Impl::try_open() {
  Result<OpenedStore> again = parts.open();
  if (!again) {
    reopen_wait_ms = std::min(reopen_wait_ms * 2, kReopenMaxMs);
    next_open = mono_now() + reopen_wait_ms;
    std::lock_guard held(lock);
    health.why = again.error().text;
    return;
  }
  opened = std::move(*again);
  adopt();
  parts.metrics->store_reopened();
  parts.broker->accept(true);
  log("store_open_again");
}

void StoreThread::Impl::beat() {
  beat_ms = mono_now().ms;
}

void StoreThread::Impl::run_jobs() {
  for (;;) {
    Job job;
    {
      std::lock_guard held(lock);
      if (jobs.empty()) return;
      job = std::move(jobs.front());
      jobs.pop_front();
    }
    job(opened.store ? &opened : nullptr);
    views_behind = true;  // it may have asked for them to be made anew
    beat();
  }
}

// What each facility's frames moved; known frame by frame only when the group went through as one.
void StoreThread::Impl::count_progress(const std::vector<Inbound>& group,
                                       const CommitReport& report) {
  if (report.outcomes.size() != group.size()) return;
  for (size_t i = 0; i < group.size(); ++i) {
    const Outcome& outcome = report.outcomes[i];
    progress.committed(group[i].fac, outcome.applied + outcome.duplicates + outcome.quarantined +
                                         outcome.gap_records);
  }
}

void StoreThread::Impl::commit(std::vector<Inbound> group) {
  auto start = std::chrono::steady_clock::now();
  CommitReport report = committer->run(group, clock_now());
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  views_behind = true;
  parts.metrics->group_committed(report, group.size(), took.count());
  count_progress(group, report);
  for (Reply& reply : report.replies) parts.broker->reply(std::move(reply));
  {
    std::lock_guard held(lock);
    health.credit_granted = reconciler->credit_granted();
  }
  if (report.failed + report.unknown == 0) return;
  // One frame's fault, or the store's?
  std::string why = opened.store->last_error().text;
  if (!still_there()) return;
  log("frames_not_committed", report.failed, report.unknown, Told{why});
}

// As the API shows it, and every number of it from the same place.
void StoreThread::Impl::look_for_metrics(WallTime now) {
  FacilitiesQuery query{now, parts.reconciler.safe, parts.reconciler.safe_age_ms, parts.silent_after_ms};
  query.rates = &progress.rates();
  if (const auto views = facilities(*opened.store, query)) parts.metrics->facilities(*views, now);
  if (const auto meta = opened.store->meta()) parts.metrics->backup(meta->last_backup_confirmed);
  if (const auto figures = findings.look(*opened.kv, now)) parts.metrics->findings(*figures);
}

void StoreThread::Impl::look_around() {
  Now now = clock_now();
  if (now.mono >= next_look) {
    next_look = now.mono + kLookEveryMs;
    progress.sample(now.mono);
    look_for_metrics(now.wall);
  }
  if (now.mono >= next_tidy) {
    next_tidy = now.mono + kTidyEveryMs;
    auto dropped = opened.store->drop_sessions({now.wall.us - kSessionUnusedDays * kDayUs});
    if (dropped && *dropped > 0)
      log("sessions_forgotten", *dropped, kSessionUnusedDays);
  }
}

// Views come after what waits to be committed, but never more than kViewsWaitMs after.
void StoreThread::Impl::follow() {
  const Result<size_t> took = follower->step(kViewBlocksAStep);
  if (!took && took.error().code == Errc::conflict) {  // another reconciler is at it
    next_views = mono_now() + kViewsWaitMs;
    quiet = false;
    return;
  }
  next_views = mono_now() + (took ? kViewsWaitMs : kViewsAfterFailureMs);
  if (!took && !still_there()) return;
  views_failed = !took;
  views_behind = views_failed || *took > 0;
  if (!took) log("views_failed", took.error());
  const auto behind = Follower::behind(*opened.kv);
  if (parts.metrics && behind) parts.metrics->views(*behind);
  if (follower->unreadable_blocks() == unreadable_told) return;
  unreadable_told = follower->unreadable_blocks();
  log("views_unreadable", unreadable_told);
}

// What the views have marked, and what is due. Alerts are looked at at once, whatever waits to be committed.
void StoreThread::Impl::tend_alerts() {
  next_alerts = mono_now() + kAlertsEveryMs;
  const Result<size_t> events = keep_alerts(*opened.kv, clock_now().wall);
  if (!events && events.error().code != Errc::conflict && still_there()) log("alerts_failed", events.error());
  if (!events || *events == 0) return;
  next_alerts = {};
  if (parts.alerts_told) parts.alerts_told();
}

int64_t StoreThread::Impl::wait_ms() const {
  if (!views_behind || views_failed) return kIdleWaitMs;
  return quiet ? 0 : kQuietMs;
}

void StoreThread::Impl::run() {
  while (!stopping) {
    beat();
    run_jobs();
    if (parts.each_round) parts.each_round(opened.store ? &opened : nullptr);
    if (!opened.store) {
      if (mono_now() >= next_open) try_open();
      // Nothing arrives while the broker is not accepting, so this only waits.
      if (!opened.store) parts.broker->take(1, 1, std::min<int64_t>(kIdleWaitMs, 100));
      continue;
    }
    look_around();
    auto group = parts.broker->take(parts.group_frames_max, parts.group_bytes_max, wait_ms());
    quiet = group.empty();
    if (!quiet) commit(std::move(group));
    const bool turn = mono_now() >= next_views || (quiet && !views_failed);
    if (opened.store && views_behind && turn) {
      follow();
      next_alerts = {};
    }
    if (opened.store && mono_now() >= next_alerts) tend_alerts();
  }
  close();
  run_jobs();
}

StoreThread::StoreThread(Parts parts, OpenedStore first)
    : impl_(std::make_unique<Impl>(std::move(parts), std::move(first))) {
  impl_->beat();
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

StoreThread::~StoreThread() {
  impl_->stopping = true;
  impl_->parts.broker->wake();
  impl_->thread.join();
  impl_->run_jobs();
}

void StoreThread::post(Job job) {
  {
    std::lock_guard held(impl_->lock);
    impl_->jobs.push_back(std::move(job));
  }
  impl_->parts.broker->wake();
}

void StoreThread::read(ReadJob job) {
  if (!impl_->readers.take(job)) leave_to_owner(std::move(job));
}

void StoreThread::read_here(ReadJob job) {
  if (!impl_->readers.run(job)) leave_to_owner(std::move(job));
}

void StoreThread::leave_to_owner(ReadJob job) {
  post([job = std::move(job)](OpenedStore* store) { job(store, nullptr); });
}

StoreHealth StoreThread::health() const {
  std::lock_guard held(impl_->lock);
  StoreHealth out = impl_->health;
  out.heartbeat_age_ms = mono_now().ms - impl_->beat_ms;
  return out;
}

const std::map<Facility, double>& StoreThread::rates() const {
  return impl_->progress.rates();
}

}  // namespace egret::cloud
