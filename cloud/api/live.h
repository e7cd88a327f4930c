// Live: how the sites stand, told to whoever watches, as server-sent events.
// Promises: who goes on with the last id it has misses nothing that stands now; a site is told again only when something of it has
// changed; all who watch share the same bytes, and each second is computed once, only while somebody watches, and less often where
// that would take more than a twentieth of the store's thread. No patient's data.
// Leaves to others: sockets and slow readers (cloud/flow.h), what a site's numbers mean (facilities), what is kept (timeline).
//
// id: SERVICE-N. event and data (JSON):
//   all      {"now","region","sites":[…],"history":[…]}   everything, to begin with, or where what followed the id is not known any more
//   some     {"now","region","sites":[…],"gone":[names]}  what has changed
// region: what is summed over the sites. history: of each minute in which a service looked, of the last 24 hours, the oldest first.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "cloud/flow.h"
#include "cloud/store_kv.h"
#include "cloud/timeline.h"

namespace egret::cloud {

inline constexpr int64_t kLiveEveryMs = 1'000;
inline constexpr int64_t kLiveShare = 20;  // of the store's thread: one part in so many
inline constexpr size_t kLiveKept = 120;               // events that somebody who was away a moment may go on from
inline constexpr size_t kLiveKeptBytes = 8 * 1024 * 1024;
inline constexpr int64_t kLinkLostMs = 120'000;  // two greetings of a site, at the usual lease

// On the store's thread alone.
class Live {
 public:
  // `service`: another one at each start. `lost_after_ms`: see timeline.h.
  Live(std::string service, std::function<MonoTime()> clock, int64_t lost_after_ms = kLinkLostMs) : service_(std::move(service)), clock_(std::move(clock)), timeline_(lost_after_ms) {}

  // Begins to tell; `after`: the last id that it has, or none.
  void watch(KvStore& store, std::shared_ptr<HttpFlow> flow, std::string_view after, const FacilitiesQuery& query);
  // To be called at least twice a second.
  void look(KvStore& store, const FacilitiesQuery& query);
  // The last minute is kept, too.
  void end(KvStore& store);
  size_t watched() const { return flows_.size(); }
  const Timeline& timeline() const { return timeline_; }

 private:
  struct Event {
    uint64_t number = 0;
    HttpFlow::Piece text;
  };
  Result<void> compute(KvStore& store, const FacilitiesQuery& query);
  void remember(Kv& kv, const std::vector<FacilityView>& views, WallTime now);
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
  Timeline timeline_;
  std::string timeline_trouble_;  // told once
  MonoTime next_;
  MonoTime next_minute_;
};

}  // namespace egret::cloud
