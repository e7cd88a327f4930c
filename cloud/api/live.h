// Live: how the sites stand, told to whoever watches, as server-sent events.
// Promises: who goes on with the last id it has misses nothing that stands now; a site is told again only when something of it has
// changed; all who watch share the same bytes, and each second is computed once, only while somebody watches, and less often where
// that would take more than a twentieth of the store's thread. No patient's data.
// Leaves to others: sockets and slow readers (cloud/flow.h), what a site's numbers mean (facilities).
//
// id: SERVICE-N. event and data (JSON):
//   all      {"now","region","sites":[…],"history":[…]}   everything, to begin with, or where what followed the id is not known any more
//   some     {"now","region","sites":[…],"gone":[names]}  what has changed
// region: what is summed over the sites. history: of each minute since the service began, at most of 24 hours, the oldest first.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "cloud/facilities.h"
#include "cloud/flow.h"
#include "cloud/store_kv.h"

namespace egret::cloud {

inline constexpr int64_t kLiveEveryMs = 1'000;
inline constexpr int64_t kLiveShare = 20;  // of the store's thread: one part in so many
inline constexpr size_t kLiveKept = 120;               // events that somebody who was away a moment may go on from
inline constexpr size_t kLiveKeptBytes = 8 * 1024 * 1024;
inline constexpr size_t kLiveMinutes = 24 * 60;

// On the store's thread alone.
class Live {
 public:
  // `service`: another one at each start.
  Live(std::string service, std::function<MonoTime()> clock) : service_(std::move(service)), clock_(std::move(clock)) {}

  // Begins to tell; `after`: the last id that it has, or none.
  void watch(KvStore& store, std::shared_ptr<HttpFlow> flow, std::string_view after, const FacilitiesQuery& query);
  // To be called at least twice a second.
  void look(KvStore& store, const FacilitiesQuery& query);
  size_t watched() const { return flows_.size(); }

 private:
  struct Event {
    uint64_t number = 0;
    HttpFlow::Piece text;
  };
  struct Minute {
    int64_t minute = 0;  // since 1970
    uint64_t records = 0, behind = 0;
    uint32_t wanting = 0, silent = 0;
  };
  Result<void> compute(KvStore& store, const FacilitiesQuery& query);
  void remember(const std::vector<FacilityView>& views, WallTime now);
  std::string history_json() const;
  HttpFlow::Piece everything() const;

  const std::string service_;
  const std::function<MonoTime()> clock_;
  std::vector<std::shared_ptr<HttpFlow>> flows_;
  std::map<Facility, std::string> sites_;  // as they were last told
  std::string region_;
  WallTime now_;
  uint64_t number_ = 0;
  std::deque<Event> kept_;
  size_t kept_bytes_ = 0;
  std::deque<Minute> history_;
  MonoTime next_;
  MonoTime next_minute_;
};

}  // namespace egret::cloud
