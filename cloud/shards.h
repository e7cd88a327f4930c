// Shards: which of the 256 parts of all facilities (topics.h) a reconciler hears where the broker has no $share.
// Promises: nobody's clock is compared with another's: a member lives as long as its beat is seen to rise; members who see the
// same others come to the same parts; when one comes or goes, only its own parts move. Two who hear one part for a moment are
// harmless (the ledger lets one win); what nobody heard for a moment the sites send again. An output of alerts is told by one
// of those that have it; by two for a moment when one was slow to beat, by none while nobody knows whether another lives.
// Leaves to others: rows and beats (member_keeper), subscriptions (Broker), telling (outputs/teller.h).
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "schemas/types.h"

namespace egret::cloud {

using Shards = std::bitset<256>;
using MemberId = std::array<uint8_t, 16>;  // drawn when a process starts

using OutputNames = std::set<std::string>;      // as alerts.h keeps their places

struct Member {
  MemberId id{};
  uint64_t beat = 0;
  OutputNames outputs;
};

inline constexpr int64_t kMemberBeatMs = 2'000;
inline constexpr int64_t kMemberSilentMs = 8'000;      // then its parts go to others
inline constexpr int64_t kMemberForgottenMs = 600'000;  // then its row goes

// By rendezvous: a part goes to the member whose hash with it is the highest.
Shards parts_of(const MemberId& self, std::span<const MemberId> others);

class Members {
 public:
  explicit Members(const MemberId& self, OutputNames outputs = {}) : self_(self), outputs_(std::move(outputs)) {}
  // All rows as they are read at `now`. One that is new here counts once its beat has risen, so that what a crash left
  // behind takes no part away.
  void see(std::span<const Member> rows, MonoTime now);
  std::vector<MemberId> living() const;  // without this one
  Shards mine() const { return parts_of(self_, living()); }
  // Of those that live and have the output the one with the lowest id; nobody, while another that has it may live or not.
  bool tells(const std::string& output) const;
  std::vector<Member> forgotten() const;  // whose rows may go, as they were read

 private:
  struct Heard {
    uint64_t beat = 0;
    OutputNames outputs;
    MonoTime since;  // when it was first seen
    bool risen = false;
  };
  bool silent(const Heard& heard) const { return now_ - heard.since >= kMemberSilentMs; }

  const MemberId self_;
  const OutputNames outputs_;
  std::map<MemberId, Heard> heard_;
  MonoTime now_;
};

}  // namespace egret::cloud
