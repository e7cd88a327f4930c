#include "cloud/fhir/exports.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <fstream>

#include "cloud/fhir/export_files.h"
#include "cloud/fhir/export_walk.h"
#include "cloud/log.h"
#include "schemas/durable_file.h"
#include "schemas/record_text.h"

namespace egret::cloud::fhir {
namespace {

namespace fs = std::filesystem;
using State = ExportSeen::State;

constexpr uint64_t kLooksEvery = 256;  // resources between two looks at the clock
constexpr std::chrono::seconds kSweepEvery{30};
constexpr const char* kJobFile = "job";
constexpr const char* kStartedAnew =
    "the region was started anew before this export was done; ask again";
constexpr const char* kTooLong = "the export took too long; ask for fewer types, or with _since";

bool is_job_id(std::string_view text) {
  return text.size() == 2 * sizeof(Uuid) && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// What of an error a client may read; the rest is in the log.
std::string told(const Error& error) {
  return error.code == Errc::disk_full || error.code == Errc::too_large
             ? error.text
             : "the store could not be read to its end; ask again";
}

Json entry(const std::string& address, const ExportFiles::File& file) {
  return Json::object({{"type", file.type},
                       {"url", address + "/" + file.name},
                       {"count", Json::number(static_cast<int64_t>(file.lines))}});
}

int64_t number_at(const Json& json, std::string_view name) {
  const Json* at = json.find(name);
  int64_t out = 0;
  if (at != nullptr && at->is(Json::Kind::number))
    std::from_chars(at->text().data(), at->text().data() + at->text().size(), out);
  return out;
}

std::optional<Json> read_job(const fs::path& file) {
  std::error_code failed;
  const uint64_t size = fs::file_size(file, failed);
  if (failed || size > kFhirRequestBytesMax) return std::nullopt;
  std::ifstream in(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  auto json = parse_json(text);
  return json && json->is(Json::Kind::object) ? std::optional(std::move(*json)) : std::nullopt;
}

void delete_lines(const fs::path& folder) {
  std::error_code failed;
  std::vector<fs::path> there;
  for (fs::directory_iterator it(folder, failed), end; !failed && it != end; it.increment(failed)) {
    if (it->path().extension() == ".ndjson") there.push_back(it->path());
  }
  for (const fs::path& file : there) fs::remove(file, failed);
}

}  // namespace

struct Exports::Job {
  std::string id, client;
  fs::path folder;
  uint64_t number = 0;
  ExportAsked asked;  // of one that is at work
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> lines = 0;
  std::atomic<const Type*> at = nullptr;
  // Guarded by lock_.
  State state = State::waiting;
  std::string why;
  Json manifest;
  WallTime ended;

  bool at_work() const { return state == State::waiting || state == State::running; }
  std::string text() const {
    Json out = Json::object({{"client", client},
                             {"state", at_work()              ? "at work"
                                       : state == State::done ? "done"
                                                              : "failed"},
                             {"why", why},
                             {"taken_away", Json::number(static_cast<int64_t>(asked.taken_away))},
                             {"ended_us", Json::number(ended.us)}});
    out.set("manifest", manifest);
    return write_json(out);
  }
};

struct Exports::Ended {
  State state = State::failed;
  std::string why;
  Json manifest;
};

Exports::Exports(fs::path folder, std::function<WallTime()> now, ExportLimits limits)
    : folder_(std::move(folder)), now_(std::move(now)), limits_(limits) {
  take_up();
  thread_ = std::thread([this] { run(); });
}

Exports::~Exports() {
  {
    std::lock_guard held(lock_);
    stopping_ = true;
    for (const auto& [id, job] : jobs_) job->stop = true;
  }
  changed_.notify_all();
  thread_.join();
}

// What cannot be read is nobody's, and goes.
void Exports::take_up() {
  std::error_code failed;
  for (fs::directory_iterator it(folder_, failed), end; !failed && it != end;
       it.increment(failed)) {
    auto job = std::make_shared<Job>();
    job->folder = it->path();
    job->id = it->path().filename().string();
    const auto text = is_job_id(job->id) ? read_job(job->folder / kJobFile) : std::nullopt;
    const std::string state = text ? text->text_at("state") : "";
    if (state.empty()) {
      to_delete_.push_back(job);
      continue;
    }
    const bool was_done = state == "done" && text->find("manifest") != nullptr;
    job->client = text->text_at("client");
    job->state = was_done ? State::done : State::failed;
    job->why = was_done ? "" : text->text_at("why").empty() ? kStartedAnew : text->text_at("why");
    if (was_done) job->manifest = *text->find("manifest");
    job->asked.taken_away = static_cast<uint64_t>(number_at(*text, "taken_away"));
    job->ended = {number_at(*text, "ended_us")};
    if (job->ended.us == 0) job->ended = now_();
    job->number = ++numbered_;
    if (!was_done) to_delete_.push_back(job);
    jobs_[job->id] = std::move(job);
  }
}

// ---- what is asked ----

Result<void> Exports::room() const {
  const auto busy =
      std::ranges::count_if(jobs_, [](const auto& each) { return each.second->at_work(); });
  if (static_cast<size_t>(busy) < limits_.at_once) return {};
  return Error{
      Errc::locked,
      fmt::format("export: {} are at work, which is as many as may be; wait for one, or cancel one",
                  busy)};
}

Result<void> Exports::has_room() {
  std::lock_guard held(lock_);
  return room();
}

Result<std::string> Exports::start(ExportAsked asked) {
  auto job = std::make_shared<Job>();
  for (int i = 0; i < 2; i++) job->id += fmt::format("{:016x}", entropy_.next());
  job->folder = folder_ / job->id;
  job->client = asked.client;
  job->asked = std::move(asked);
  if (auto fine = has_room(); !fine) return std::move(fine).error();
  Result<void> made = make_folder(job->folder, 0700);
  if (made) made = make_file(job->folder / kJobFile, job->text(), 0600);
  std::unique_lock held(lock_);
  if (made) made = room();
  if (!made) {
    to_delete_.push_back(job);
    changed_.notify_all();
    return std::move(made).error();
  }
  while (jobs_.size() >= limits_.kept) {
    Jobs::iterator oldest = jobs_.end();
    for (auto it = jobs_.begin(); it != jobs_.end(); ++it) {
      if (!it->second->at_work() &&
          (oldest == jobs_.end() || it->second->number < oldest->second->number))
        oldest = it;
    }
    to_delete_.push_back(oldest->second);
    jobs_.erase(oldest);
  }
  job->number = ++numbered_;
  jobs_[job->id] = job;
  changed_.notify_all();
  return job->id;
}

std::string Exports::progress_of(const Job& job) const {
  if (job.state == State::waiting) {
    const auto before = std::ranges::count_if(jobs_, [&](const auto& each) {
      return each.second->at_work() && each.second->number < job.number;
    });
    return fmt::format("waits for {} before it", before);
  }
  const Type* at = job.at;
  return fmt::format("{} resources written; now {}", with_commas(job.lines),
                     at == nullptr ? "at the beginning" : at->name);
}

std::optional<ExportSeen> Exports::look(const std::string& id, const std::string& client) {
  std::lock_guard held(lock_);
  sweep();
  const auto at = jobs_.find(id);
  if (at == jobs_.end() || at->second->client != client) return std::nullopt;
  const Job& job = *at->second;
  ExportSeen out;
  out.state = job.state;
  if (job.at_work()) out.progress = progress_of(job);
  out.manifest = job.manifest;
  out.why = job.why;
  if (!job.at_work()) out.goes = {job.ended.us + limits_.kept_ms * 1000};
  return out;
}

std::optional<fs::path> Exports::file(const std::string& id, const std::string& name,
                                      const std::string& client) {
  const auto seen = look(id, client);
  if (!seen || seen->state != State::done) return std::nullopt;
  for (const char* list : {"output", "error"}) {
    const Json* files = seen->manifest.find(list);
    if (files == nullptr) continue;
    for (const Json& one : files->items()) {
      const std::string& url = one.text_at("url");
      if (url.substr(url.rfind('/') + 1) == name) return folder_ / id / name;
    }
  }
  return std::nullopt;
}

bool Exports::cancel(const std::string& id, const std::string& client) {
  std::lock_guard held(lock_);
  const auto at = jobs_.find(id);
  if (at == jobs_.end() || at->second->client != client) return false;
  at->second->stop = true;
  // Who writes it sees that it is there no more.
  if (at->second->state != State::running) to_delete_.push_back(at->second);
  jobs_.erase(at);
  changed_.notify_all();
  return true;
}

// Of one that is at work. lock_ is held.
void Exports::stop(const std::shared_ptr<Job>& job, const std::string& why) {
  if (!job->at_work() || job->stop) return;
  job->stop = true;
  job->why = why;
  if (job->state == State::running) return;
  job->state = State::failed;
  job->ended = now_();
  to_delete_.push_back(job);
  changed_.notify_all();
}

void Exports::stop_reading(const std::string& why) {
  std::lock_guard held(lock_);
  for (const auto& [id, job] : jobs_) stop(job, why);
}

void Exports::end_older(uint64_t taken_away, const std::string& why) {
  std::lock_guard held(lock_);
  for (const auto& [id, job] : jobs_) {
    if (job->asked.taken_away == taken_away) continue;
    stop(job, why);
    if (job->state != State::done) continue;
    job->state = State::failed;
    job->why = why;
    job->manifest = {};
    to_delete_.push_back(job);
    changed_.notify_all();
  }
}

// ---- the thread ----

void Exports::run() {
  std::unique_lock held(lock_);
  while (!stopping_) {
    sweep();
    tidy(held);
    const auto job = next();
    if (!job) {
      if (to_delete_.empty() && !stopping_) changed_.wait_for(held, kSweepEvery);
      continue;
    }
    job->state = State::running;
    held.unlock();
    Ended ended = write(*job);
    finish(job, std::move(ended));
    held.lock();
  }
}

std::shared_ptr<Exports::Job> Exports::next() {
  std::shared_ptr<Job> out;
  for (const auto& [id, job] : jobs_) {
    if (job->state == State::waiting && (!out || job->number < out->number)) out = job;
  }
  return out;
}

// What has been kept for long enough.
void Exports::sweep() {
  const WallTime now = now_();
  std::erase_if(jobs_, [&](const auto& each) {
    const Job& job = *each.second;
    const bool over = !job.at_work() && now.us >= job.ended.us + limits_.kept_ms * 1000;
    if (over) to_delete_.push_back(each.second);
    return over;
  });
}

// Files, and states of the store, that nobody needs any more. Of one that is still told about, what
// is told stays.
void Exports::tidy(std::unique_lock<std::mutex>& held) {
  while (!to_delete_.empty()) {
    const auto job = std::move(to_delete_.back());
    to_delete_.pop_back();
    const auto at = jobs_.find(job->id);
    const bool told_about = at != jobs_.end() && at->second == job;
    const std::string text = job->text();
    held.unlock();
    job->asked.store = {};
    std::error_code failed;
    if (told_about) {
      delete_lines(job->folder);
      (void)replace_file(job->folder / kJobFile, text, 0600);
    } else {
      fs::remove_all(job->folder, failed);
    }
    if (failed)
      log("export_not_deleted", Word{job->id}, failed);
    held.lock();
  }
}

Result<void> Exports::write_all(Job& job, Json& output, Json& error) {
  const ExportAsked& asked = job.asked;
  World world(*asked.store.kv, *asked.store.store, entropy_, asked.at);
  ExportFiles files(job.folder, limits_.file_bytes, limits_.free_bytes);
  std::optional<Error> failed;
  for (const Type* type : asked.wish.types) {
    job.at = type;
    auto walked = each_exported(world, asked.wish, *type, [&](const Json& resource) {
      if (job.stop) return false;
      if (job.lines++ % kLooksEvery == 0) {
        std::unique_lock held(lock_);
        tidy(held);
        if (now_().us > asked.at.us + limits_.ms_max * 1000)
          failed = Error{Errc::too_large, kTooLong};
      }
      if (auto added = files.add(type->name, resource); !added && !failed)
        failed = std::move(added).error();
      return !failed;
    });
    if (failed) return std::move(*failed);
    if (!walked) return walked;
    if (job.stop) return Error{Errc::conflict, "stopped"};
  }
  for (const std::string& why : asked.wish.ignored) {
    if (auto added = files.add("OperationOutcome",
                               outcome(Issue::not_supported, "left out: " + why, "warning"));
        !added)
      return added;
  }
  if (auto ended = files.end(); !ended) return ended;
  const std::string address = asked.files + "/" + job.id;
  for (const ExportFiles::File& file : files.files())
    (file.type == "OperationOutcome" ? error : output).push(entry(address, file));
  return {};
}

Exports::Ended Exports::write(Job& job) {
  Json output = Json::array(), error = Json::array();
  const auto written = write_all(job, output, error);
  Ended out;
  if (!written) {
    log("export_failed", Word{job.id}, written.error());
    out.why = told(written.error());
    return out;
  }
  log("export_done", Word{job.id}, Word{job.client}, job.lines.load(), job.asked.wish.types.size());
  out.state = State::done;
  out.manifest = Json::object({{"transactionTime", instant(job.asked.at)},
                               {"request", job.asked.request},
                               {"requiresAccessToken", Json::boolean(true)}});
  // Empty lists, too, are expected.
  out.manifest.members().emplace_back("output", std::move(output));
  out.manifest.members().emplace_back("error", std::move(error));
  return out;
}

void Exports::finish(const std::shared_ptr<Job>& job, Ended ended) {
  job->asked.store = {};
  std::unique_lock held(lock_);
  // The next process says what became of it.
  if (stopping_) return;
  if (!jobs_.contains(job->id)) return to_delete_.push_back(job);
  Job shown;
  shown.client = job->client;
  shown.state = job->stop ? State::failed : ended.state;
  shown.why = job->stop ? job->why : ended.why;
  shown.ended = now_();
  if (shown.state == State::done) shown.manifest = std::move(ended.manifest);
  held.unlock();
  if (shown.state == State::failed) delete_lines(job->folder);
  // First on the disk: what has been said to be done is done after a restart, too.
  const auto kept = replace_file(job->folder / kJobFile, shown.text(), 0600);
  held.lock();
  job->ended = shown.ended;
  if (!jobs_.contains(job->id)) return to_delete_.push_back(job);
  if (job->stop || !kept) {
    job->state = State::failed;
    if (!job->stop)
      job->why = shown.state == State::failed
                     ? shown.why
                     : "the export's last word could not be written; ask again";
    return to_delete_.push_back(job);
  }
  job->state = shown.state;
  job->why = std::move(shown.why);
  job->manifest = std::move(shown.manifest);
}

}  // namespace egret::cloud::fhir
