// RegionBench: the real Reconciler, Committer and KvStore over memory, and sites that have keys and
// say what a script likes. Promises: after every commit each answer says only what the ledger
// holds, W never falls, S is never above W, and W has only digests that a site chained; at the end
// the store proves itself (cloud/verify). Leaves to others: which bytes (reconciler_fuzz,
// cloud_frame_fuzz).
#pragma once

#include <set>

#include "cloud/committer.h"
#include "cloud/store_kv.h"
#include "schemas/es1.pb.h"
#include "tests/fuzz/fuzz.h"
#include "tests/sim/sealing.h"
#include "tests/sim/seeded_entropy.h"
#include "tests/sim/watched_kv.h"

namespace egret::fuzz {

enum class Ask : uint8_t {
  data,
  gap,
  hello,
  batch,
  repeat,
  raw_body,
  raw_frame,
  wait,
  crash,
  commit_fails,
  commit_unknown,
  new_run,
  roll_back,
  block,
  confirm,
  count_
};

class RegionBench {
 public:
  RegionBench();
  void perform(Ask ask, Script& script);
  // HELLO and its answer's ticket, a few blocks committed.
  void greeted(uint8_t blocks);
  // Says this body as the first site would.
  void say_body(FrameType type, Bytes body);
  void end();

 private:
  // What a site has chained of one (epoch, stream).
  struct Block {
    Seq first;
    uint32_t count = 0;
    std::vector<Bytes> records;
    GapKind gap = GapKind::none;
    Hash before{}, after{};
    Seq last() const { return first + (count - 1); }
  };
  struct Chain {
    StreamKey key;
    std::vector<Block> blocks;
  };
  struct Site {
    Facility fac;
    std::unique_ptr<Channel> run;
    uint64_t hello_no = 0, ticket = 0;
    std::vector<Chain> chains;
  };
  struct RowSeen {
    Seq w;
    Hash c{};
  };

  void open();
  void commit(std::vector<cloud::Inbound> group);
  void look_at(const cloud::Reply& reply);
  void look_at_rows();
  void check_entry(const Facility& fac, StreamKey key, uint64_t w, ByteView c) const;
  void add(Chain& chain, Block block);
  Seq head(const Chain& chain) const {
    return chain.blocks.empty() ? Seq{} : chain.blocks.back().last();
  }
  Hash c_head(const Site& site, const Chain& chain) const {
    return chain.blocks.empty() ? chain_start_of(site, chain) : chain.blocks.back().after;
  }
  static Hash chain_start_of(const Site& site, const Chain& chain);
  void data(Script& script);
  void gap(Script& script);
  es1::Hello hello(Site& site, Script& script);
  es1::Batch batch(const Site& site, const Chain& chain, Script& script) const;
  void spoil(es1::Batch& batch, Script& script) const;
  Bytes record(const Facility& fac, Script& script);
  cloud::Inbound frame(Site& site, FrameType type, const Bytes& body);
  Site& site(Script& script) { return sites_[script.below(sites_.size())]; }
  Now now() const { return {now_, {1'700'000'000'000'000 + now_.ms * 1000}}; }
  bool chained(const Facility& fac, StreamKey key, Seq w, const Hash& c) const {
    return known_.contains({fac, key, w, c});
  }

  MonoTime now_{1'000'000};
  SeededEntropy entropy_{1};
  std::unique_ptr<sim::Sealing> sealing_ = sim::clear_sealing();
  KvMemory disk_{cloud::kCloudSpaces};
  sim::WatchedKv kv_{disk_};
  std::unique_ptr<cloud::KvStore> store_;
  std::unique_ptr<cloud::Reconciler> reconciler_;
  std::vector<Site> sites_;
  std::set<std::tuple<Facility, StreamKey, Seq, Hash>> known_;
  std::map<std::pair<Facility, StreamKey>, RowSeen> seen_;
  std::vector<cloud::Inbound> said_;
  uint64_t number_ = 0;
};

}  // namespace egret::fuzz
