// Session: the edge's half of es1, sans-I/O: greets, sends one batch a stream, believes only what
// it can check, asks for purges and re-homings. Promises: no thread, clock, random source, socket
// or disk of its own; the same events give the same actions; a purge is asked for only up to
// min(confirmed, S) of a WELCOME with the current nonce. Leaves to others: what is durable (Buffer,
// seen through View and Reader), bytes on the link (Link), which lane goes next (Lanes), sealing
// (Channel).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "edge/buffer.h"
#include "edge/lanes.h"
#include "edge/session_table.h"
#include "edge/timers.h"
#include "edge/view.h"
#include "edge/why.h"
#include "schemas/codec.h"
#include "schemas/es1.pb.h"
#include "schemas/seal.h"
#include "schemas/topics.h"

namespace egret::edge {

// ---- what comes in ----
struct TimerFired {};
struct Connected {
  size_t frame_bytes_max =
      0;               // the broker's Maximum Packet Size less topic and headers; 0: no limit said
  std::string broker;  // names it, for what is remembered per broker
};
struct ConnectFailed {
  bool identity_refused = false;
  std::string why;  // for a person: "connection refused", "certificate expired", …
};
struct Disconnected {
  std::string why;
};
struct Published {
  uint64_t token = 0;
};
struct PublishFailed {
  uint64_t token = 0;
  bool too_large = false;  // reason code 0x95, or over the broker's Maximum Packet Size
  std::string why;
};
struct FrameArrived {
  Bytes frame;
};
struct ViewChanged {
  View view;
};
struct DiskPressed {};
using Event = std::variant<TimerFired, Connected, ConnectFailed, Disconnected, Published,
                           PublishFailed, FrameArrived, ViewChanged, DiskPressed>;

// ---- what goes out, to be carried out in order ----
struct Connect {
  std::string client_id;  // fac-sid
};
struct Disconnect {};
struct Publish {
  TopicKind topic = TopicKind::up_control;
  uint64_t token = 0;  // comes back in Published or PublishFailed
  Bytes frame;
};
struct Purge {
  std::vector<PurgeTo> upto;
};
struct Rehome {
  StreamKey key;
};
struct RehomeBlocks {
  StreamKey key;
  Seq first, last;
};
struct Park {
  StreamKey key;
  Seq first;
  GapReason reason = GapReason::none;
};
struct MarkCorrupt {
  StreamKey key;
  Seq first;
};
struct Unpark {
  std::optional<StreamId> stream;
};
// Worth a log line and a place in the status.
struct Notice {
  enum class Kind : uint8_t {
    linked,
    link_lost,        // why
    identity_refused, // why
    cloud_went_back,  // lane: complete to a lower number than before; what is kept is sent again
    rehomed,          // lane: the cloud holds another history; what is held goes out under a new epoch
    gap_resent,       // lane: the cloud has a gap where this site holds data; it goes out under a new number
    parked_unreadable,  // lane: the cloud cannot read a block
    parked_too_large,   // lane: a block is larger than the broker lets through
    held,             // why
    version_unknown,  // why
    new_run,          // why
    corrupt_block     // lane: a block could not be read back
  } kind;
  std::string why = {};  // one of edge/why.h, or as a broker or the system gave it
  StreamId lane = StreamId::critical;
};
// To be kept over restarts, outside the store; losing it costs time only.
struct Memory {
  int64_t herd_window_ms = 0;
  size_t largest_acked_bytes = 0;
  size_t frame_limit_bytes = 0;
  Bytes next_region_key;  // 32 bytes: the next run seals to this one; empty: none
};
struct Remember {
  Memory memory;
};
using Action = std::variant<Connect, Disconnect, Publish, Purge, Rehome, RehomeBlocks, Park,
                            MarkCorrupt, Unpark, Notice, Remember>;
using Actions = std::vector<Action>;

struct SessionConfig {
  Facility facility;
  std::string agent_version;
  std::array<uint8_t, 16> boot_id{};
  int zstd_level = 3;  // 0: codec `stored`
  size_t frame_bytes_max = 256 * 1024;  // configuration's cap; at most kFrameBytesAgreedMax
  int64_t reconnect_max_ms = kBackoffMaxMs;
};
// What HELLO reports beside the view; the driver keeps it fresh.
struct Vitals {
  uint32_t disk_used_permille = 0;
  uint32_t disk_hours_left = 0;    // 0: not growing, or not known
  int64_t certificate_ends_s = 0;  // Unix seconds; 0: none, or it cannot be read
};
// Makes the keys of a new run: one at start, another when the sid is found in use elsewhere.
using NewChannel = std::function<std::unique_ptr<Channel>()>;

// How far one (epoch, stream) has come, for status and for Budget.
struct RowStatus {
  StreamKey key;
  Seq cursor;     // acknowledged (ACK): the next batch starts after it
  Seq confirmed;  // a WELCOME said so: 0 until then
  Seq safe;       // S
  Seq sent;       // a batch up to here is on its way, unanswered; none: the cursor
};
struct SessionStatus {
  State state = State::down;
  MonoTime since;         // in this state
  std::string why;        // why down or held
  MonoTime linked_since;  // of the present connection
  uint64_t stray_frames = 0;
  uint64_t frames_sent = 0, frames_resent = 0, bytes_sent = 0;
  uint64_t w_falls = 0;      // the cloud went back in time
  uint64_t quarantined = 0;  // records of this site that the cloud keeps with a reason
  int64_t link_bytes_per_s = 0;
  std::vector<RowStatus> rows;
};

class Session {
 public:
  // `reader` outlives the session. `memory` is what the last run remembered.
  Session(SessionConfig config, const Reader& reader, NewChannel new_channel, Entropy& entropy,
          Memory memory, View view, Now now);
  // A copy that reads another store: the image of a process that was taken and is run again
  // (rollback, clone).
  Session(const Session& other, const Reader& reader);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Carry out the actions in order.
  Actions step(const Event& event, Now now);
  // When a TimerFired is wanted next.
  MonoTime next_deadline() const;
  void set_vitals(const Vitals& vitals);

  SessionStatus status() const;
  // What the cloud has confirmed for a stream of this store; 0 when nothing is known in this run.
  Seq confirmed(StreamKey key) const;
  Seq safe(StreamKey key) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace egret::edge
