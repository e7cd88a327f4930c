// Live: how the sites stand, told to whoever watches, as server-sent events.
// Promises: who goes on with the last id it has misses nothing that stands now; a site is told again only when something of it has
// changed; all who watch share the same bytes, and each second is computed once, only while somebody watches, and less often where
// that would take more than a twentieth of the store's thread; at most kLiveWatchers watch, and none after its token has ended: one
// that takes what it is told never gives its place to another. No patient's data.
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
inline constexpr size_t kLiveGoOnBytes = 1024 * 1024;  // of events to go on with; with more everything is the shorter way
inline constexpr size_t kLiveWatchers = 32;
inline constexpr size_t kLiveBehindBytes = 512 * 1024;  // not taken: such a one gives its place to the next
inline constexpr int64_t kLinkLostMs = 120'000;  // two greetings of a site, at the usual lease

// On the store's thread alone.
class Live {
 public:
  // `service`: another one at each start. `lost_after_ms`: see timeline.h.
  Live(std::string service, std::function<MonoTime()> clock, int64_t lost_after_ms = kLinkLostMs) : service_(std::move(service)), clock_(std::move(clock)), timeline_(lost_after_ms) {}

  // Begins to tell; `after`: the last id that it has, or none. `still`: asked each second, whether it may go on; empty: it may.
  // False: as many watch as may, and all of them keep up.
  bool watch(KvStore& store, std::shared_ptr<HttpFlow> flow, std::string_view after, const FacilitiesQuery& query, std::function<bool()> still = {});
  // To be called at least twice a second.
  void look(KvStore& store, const FacilitiesQuery& query);
  // The last minute is kept, too.
  void end(KvStore& store);
  size_t watched() const { return watchers_.size(); }
  const Timeline& timeline() const { return timeline_; }

 private:
  struct Event {
    uint64_t number = 0;
    HttpFlow::Piece text;
  };
  struct Watcher {
    std::shared_ptr<HttpFlow> flow;
    std::function<bool()> still;
  };
  Result<void> compute(KvStore& store, const FacilitiesQuery& query);
  void remember(Kv& kv, const std::vector<FacilityView>& views, WallTime now);
  std::string history_json() const;
  HttpFlow::Piece everything();
  // Those who have gone or may not go on; of a full house the one that is furthest behind. False: there is no room.
  bool make_room();
  void forget_the_gone();

  const std::string service_;
  const std::function<MonoTime()> clock_;
  std::vector<Watcher> watchers_;
  std::map<Facility, std::string> sites_;  // as they were last told
  std::string region_;
  WallTime now_;
  uint64_t number_ = 0;
  Event all_;  // everything, as of this number
  std::deque<Event> kept_;
  size_t kept_bytes_ = 0;
  Timeline timeline_;
  std::string timeline_trouble_;  // told once
  MonoTime next_;
  MonoTime next_minute_;
};

}  // namespace egret::cloud
