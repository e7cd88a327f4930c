// Judge: what a WELCOME says about one (epoch, stream), held against what we hold (es1 5.5).
// Promises: a pure function; "same" only when numbers, claims and digests all agree.
// Leaves to others: acting on it (Session).
#pragma once

#include "edge/view.h"
#include "schemas/es1.pb.h"

namespace egret::edge {

enum class Verdict : uint8_t {
  same,       // cursor = confirmed = W
  elsewhere,  // we, or the cloud, have gone back in time: re-home
  over,       // moved or finished; at most a GAP PURGED is owed
  unknown,    // an epoch that is not ours: ignore
};

Verdict judge(const View& view, const Reader& reader, const es1::WelcomeEntry& entry);

// Is `digest` (16 bytes) what we know c(at) to be? True below B, where we know nothing.
bool digest_agrees(const Reader& reader, StreamKey key, Seq border, Seq at, ByteView digest);

}  // namespace egret::edge
