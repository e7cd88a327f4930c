// Checker: the invariants of es1 section 8 that need both sides, and what must be true at the end.
//
//   I1  EdgeWatch: blocks are on disk as written; World: a store opens again     I9  conserve(), after every write, both sides
//   I2, I3, I4, I10, I11  EdgeWatch                                              I5, I6, I10, I11, I12, I14  CloudWatch
//   I7  said_by_cloud(): every ACK and WELCOME against the synced ledger         I8  asked_to_purge()
//   I13 end(): a lost record that was claimed has an open incident; I14 also end()  I15 sent_by_site(): batches in flight <= credit
//   I16 converged() within a bound after the faults; deleted() after a backup    I18 end(): the store digest, and verify
//   I19 wall clocks of sites jump by years; nothing above looks at them          I20 World: noise writes nothing
// And of es1: section 4, no nonce is used for two contents; section 6, a batch stands on what the cloud has said of this
// very history; section 8, GAP is answered only to a batch that leaves a hole, or whose gap crosses W; frames of another
// version and of revoked sites (World) are not heard, and no protocol in common is answered VERSION.
// What is excused, and by which rule:
//   - Promise ("outside: both copies destroyed by outside force"). A site's disk that goes back or is lost takes with it
//     its copies and, of what it had deleted, its word: from then on the region's copy is the single one of all that the
//     site does not hold. Record by record: what is accepted later is promised as ever, and claims are still held to I13.
//   - Section 8 ("c_from missing: the row is marked unverified"). A gap with unknown prefix joins two histories and says
//     so; of a record at or below its end nobody can tell whether the other history has its number. Above it all is held.
// I12 holds by the key of the natural table and by verify's dispositions; I17 is measured elsewhere (tests/bench).
//
// Promises: no check reads what a side merely says about itself; all is compared with History.
// Leaves to others: driving the world.
#pragma once

#include "cloud/committer.h"
#include "tests/sim/cloud_watch.h"
#include "tests/sim/sealing.h"
#include "tests/sim/site.h"

namespace egret::sim {

class Checker {
 public:
  using Sites = std::vector<std::unique_ptr<Site>>;
  Checker(History& history, Journal& journal, Sealing& sealing, CloudWatch& cloud, KvMemory& cloud_disk, Sites& sites)
      : history_(history), journal_(journal), sealing_(sealing), cloud_(cloud), cloud_disk_(cloud_disk), sites_(sites) {}

  void conserve();
  // Every copy of these is gone by outside force: outside the promise.
  void site_went_back(const Facility& fac);
  // `beyond_s`: to a state that S did not promise to keep.
  void cloud_went_back(bool beyond_s);

  void sent_by_site(Site& site, ByteView frame);
  void unsent_by_site(Site& site, ByteView frame);
  void heard_by_site(Site& site, ByteView frame);
  // What the session wants after a frame that nobody sent: carried out only while it is harmless.
  void forged_for_site(Site& site, edge::Actions actions, const std::function<void(edge::Action)>& carry_out);
  void asked_to_purge(Site& site, const edge::Purge& purge);
  void committed(std::span<const cloud::Inbound> frames, std::span<const cloud::Outcome> outcomes);
  void said_by_cloud(const cloud::Reply& reply);

  // What the cloud was told that sites hold; goes back with the cloud.
  struct Claimed {
    Facility fac;
    StreamKey key;
    Seq n;
    Bytes c;
    auto operator<=>(const Claimed&) const = default;
  };
  std::set<Claimed> claims;

  // Has everything arrived? Empty: yes; else what is missing.
  std::string missing() const;
  // Do the sites still hold what the cloud keeps in a backup?
  std::string not_deleted() const;
  void end();
  // Of the store; nullopt: it cannot be verified.
  std::optional<Hash> digest() const;

 private:
  // Of a batch, by its nonce: what an answer to it must fit.
  struct Sent {
    StreamKey key;
    Seq first, last;
    bool gaps = false;
  };
  void check_nonce(const Facility& fac, ByteView frame);
  void check_footing(Site& site, const es1::Batch& batch);
  void count_flying(Site& site, const es1::Batch& batch, ByteView nonce);
  void check_version(const cloud::Inbound& in, const cloud::Outcome& out);
  void check_gap_answer(const Facility& fac, const es1::Ack& ack);
  bool lawful(const Fact& fact) const;
  bool held(Id id, const Facility& fac) const;
  bool accounted(Id id) const;
  bool told_of(const Fact& fact) const;
  bool lost_for_good(Id id) const;
  void check_entry(const Facility& fac, StreamKey key, Seq w, ByteView c, const char* what);
  static bool waits_for_one_agent(cloud::Txn& txn, const Claimed& claim);
  void check_claims();
  void check_outclaimed();
  void check_store();

  History& history_;
  Journal& journal_;
  Sealing& sealing_;
  CloudWatch& cloud_;
  KvMemory& cloud_disk_;
  Sites& sites_;
  std::map<std::tuple<Facility, SessionId, Nonce>, Hash> nonces_;  // the frame that each was used for
  std::map<Bytes, Sent> sent_;
  std::set<Bytes> strangers_;  // nonces of HELLOs that know no protocol of ours
};

std::string describe(const Opened& opened);

}  // namespace egret::sim
