// Why: the reasons that a session gives for its state when they are its own, not a broker's or the system's.
// Promises: a closed list, so that whoever speaks to people can translate it. Leaves to others: when each holds (session).
#pragma once

namespace egret::edge {

inline constexpr const char* kWhyConnecting = "connecting to the broker";
inline constexpr const char* kWhyGreeting = "greeting the cloud";
inline constexpr const char* kWhyLeaseEnded = "the lease has ended: greeting the cloud again";
inline constexpr const char* kWhyBusy = "the cloud is busy and asked to come back later";
inline constexpr const char* kWhyStopped = "an operator of the cloud has stopped this site";
inline constexpr const char* kWhyVersion = "the cloud speaks no version of es1 that this agent knows: update the agent";
inline constexpr const char* kWhyKeyGone = "nobody answers to the region's old key, and it has named a newer one";
inline constexpr const char* kWhyKeysElsewhere = "this run's keys were seen in use elsewhere";

}  // namespace egret::edge
