// Exports: the bulk exports of a region: asked for, written one after the other by a thread of
// their own, kept for a day. Promises: an export is exact: it holds the store's state of the moment
// in which it was asked for, however long it waits and is written. One that was done is there after
// a restart; one that was not ends clearly: it is told to have failed, and is asked for again. So
// does every export when something is erased or restricted. Only who asked for an export sees it. Files that
// nobody may fetch any more are deleted. Calls come from any thread and wait for no disk but
// start(). Leaves to others: HTTP (cloud/api/fhir_export.cpp), making the state that it reads
// (freeze), which resources (export_walk.h).
//
//   STATE/exports/ID/job            what was asked, and how it ended, as JSON; 0600 in 0700
//   STATE/exports/ID/TYPE.N.ndjson
#pragma once

#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>

#include "cloud/fhir/export_limits.h"
#include "cloud/fhir/export_wish.h"
#include "cloud/store_thread.h"
#include "schemas/entropy.h"

namespace egret::cloud::fhir {

struct ExportLimits {
  size_t at_once = kFhirExportsAtOnce, kept = kFhirExportsKept;
  int64_t kept_ms = kFhirExportKeptMs, ms_max = kFhirExportMsMax;
  uint64_t file_bytes = kFhirExportFileBytes, free_bytes = kFhirExportFreeBytes;
};

struct ExportAsked {
  ExportWish wish;
  std::string client;   // who asks
  std::string request;  // the whole address
  std::string
      files;  // address below which its files will be, without a slash at its end: ID/NAME is added
  WallTime at;        // the transactionTime: all that was committed before is in `store`
  uint64_t taken_away = 0;  // how often something had been, in that state (cloud/taken_away.h)
  OpenedStore store;  // that state; read here alone
};

struct ExportSeen {
  enum class State : uint8_t { waiting, running, done, failed } state = State::waiting;
  std::string progress;  // of one that is not done: for a person
  Json manifest;         // of one that is done
  std::string why;       // of one that has failed
  WallTime goes;         // of one that has ended: then it is forgotten
};

class Exports {
 public:
  // Takes up what an earlier process left in `folder`, which is made when it is first needed.
  Exports(std::filesystem::path folder, std::function<WallTime()> now, ExportLimits limits = {});
  // An export that is being written stops, and ends as by any restart.
  ~Exports();
  Exports(const Exports&) = delete;
  Exports& operator=(const Exports&) = delete;

  // May one more be asked for? Errors: locked (how many are at work, or kept, is in the text).
  Result<void> has_room();
  // Its id. Errors: as has_room; disk_full, store_failed.
  Result<std::string> start(ExportAsked asked);
  // nullopt: there is none of this client by that id.
  std::optional<ExportSeen> look(const std::string& id, const std::string& client);
  // Where a file of one that is done is; nullopt: there is none.
  std::optional<std::filesystem::path> file(const std::string& id, const std::string& name,
                                            const std::string& client);
  // Stops it, and deletes its files. False: there is none.
  bool cancel(const std::string& id, const std::string& client);
  // The state that those at work read is not to be read any more (the store is down).
  void stop_reading(const std::string& why);
  // Something was taken away since, for the `taken_away`th time: those that were asked for before may hold it, and end.
  void end_older(uint64_t taken_away, const std::string& why);

 private:
  struct Job;
  using Jobs = std::map<std::string, std::shared_ptr<Job>>;
  struct Ended;

  void take_up();
  void run();
  Ended write(Job& job);
  Result<void> write_all(Job& job, Json& output, Json& error);
  void finish(const std::shared_ptr<Job>& job, Ended ended);
  void stop(const std::shared_ptr<Job>& job, const std::string& why);
  std::shared_ptr<Job> next();
  void sweep();
  void tidy(std::unique_lock<std::mutex>& held);
  Result<void> room() const;
  std::string progress_of(const Job& job) const;

  const std::filesystem::path folder_;
  const std::function<WallTime()> now_;
  const ExportLimits limits_;
  OsEntropy entropy_;
  std::mutex lock_;  // guards what follows, and of a job what is not const or atomic
  std::condition_variable changed_;
  Jobs jobs_;
  uint64_t numbered_ = 0;
  std::vector<std::shared_ptr<Job>> to_delete_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace egret::cloud::fhir
