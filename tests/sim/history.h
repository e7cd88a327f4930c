// History: what really happened, as only the checker knows it: every record that was offered, and every block that
// any edge ever chained, with the records that stand behind it.
// Promises: forgets nothing, whatever disk or store goes back in time.
// Leaves to others: judging (EdgeWatch, CloudWatch, Checker).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "schemas/record.h"
#include "schemas/types.h"

namespace egret::sim {

using Id = uint32_t;

struct Spot {
  StreamKey key;
  Seq seq;
  auto operator<=>(const Spot&) const = default;
};

// A statement of a facility: equal bodies are one.
struct Fact {
  Facility fac;
  NaturalKey key;          // of a poison record: the SHA-256 of the record
  bool poison = false;     // the cloud must keep it aside
  bool accepted = false;   // it got its 2xx
  bool ever = false;       // the cloud had committed it at some time
  bool shed = false;       // dropped by the rule for telemetry
  bool spoiled = false;    // a block that held it was spoiled
  bool damaged = false;    // and it was the last one at its site
  bool relocated = false;  // its place became a gap when it was moved elsewhere
  bool exposed = false;    // lawfully deleted at the edge, though a cloud that goes back may lack it
  bool single = false;     // a site that went back has left it to the region alone
  bool excused = false;    // every copy was destroyed by outside force
  std::set<Spot> spots;
};

// One block or gap of a chain, reached by (last, c).
struct Node {
  Seq first;
  uint32_t count = 0;
  bool gap = false;  // born as one (re-homed)
  Hash before{};     // c at first - 1
  std::vector<Id> ids;
};

class History {
 public:
  Id offer(const Facility& fac, const NaturalKey& key, bool poison);
  void offer_bytes(const Facility& fac, const Hash& leaf, Id id, ByteView record) {
    leaves_[{fac, leaf}] = id;
    records_.try_emplace(id, record);
  }
  const Bytes& record(Id id) const { return records_.at(id); }
  std::optional<Id> id_of_leaf(const Facility& fac, const Hash& leaf) const;
  std::optional<Id> id_of_content(const Facility& fac, const Hash& content) const;
  Fact& fact(Id id) { return facts_[id]; }
  const Fact& fact(Id id) const { return facts_[id]; }
  Id facts() const { return static_cast<Id>(facts_.size()); }

  void add(const Facility& fac, StreamKey key, Seq last, const Hash& c, Node node);
  const Node* find(const Facility& fac, StreamKey key, Seq last, const Hash& c) const;
  // The whole c whose first half is `wire`; also c_0.
  std::optional<Hash> whole(const Facility& fac, StreamKey key, Seq last, ByteView wire) const;
  // From (last, c) back to 0, newest first, until `see` returns false. False: a link is not known.
  using See = std::function<bool(Seq last, const Hash& c, const Node& node)>;
  bool walk(const Facility& fac, StreamKey key, Seq last, Hash c, const See& see) const;
  // c at `at` on the way back from (last, c).
  std::optional<Hash> c_at(const Facility& fac, StreamKey key, Seq last, const Hash& c, Seq at) const;
  // Is `fact` what stands at `at` on the way back from (last, c)? Also true where the way is not known.
  bool holds(const Facility& fac, StreamKey key, Seq last, const Hash& c, Seq at, const Fact& fact) const;

  // Which processes may append to an epoch: the one that minted it, and its live clones.
  std::set<uint64_t>& writers(const Facility& fac, EpochId epoch) { return writers_[{fac, epoch}]; }
  void clone_writer(uint64_t from, uint64_t to);
  // Values on a disk, or on a copy of it, that a flipped bit has made.
  std::set<std::tuple<Facility, uint8_t, Bytes, Bytes>> flipped;

 private:
  std::vector<Fact> facts_;
  std::map<std::pair<Facility, Hash>, Id> contents_, leaves_;
  std::map<Id, Bytes> records_;  // as first offered
  std::map<std::tuple<Facility, StreamKey, Seq, Hash>, Node> nodes_;
  std::map<std::pair<Facility, EpochId>, std::set<uint64_t>> writers_;
};

}  // namespace egret::sim
