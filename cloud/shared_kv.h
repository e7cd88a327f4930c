// SharedKv: a Kv that other processes write too: several reconcilers over one database.
// Promises: between begin() and end() all reads see one state of the store, and the write() in between is refused with
// Errc::conflict when another has changed anything of a facility that it writes, or a row that it writes; write() ends
// what begin() began, whatever its answer.
// Leaves to others: trying again (Committer), what is read and written (KvTxn).
#pragma once

#include <span>

#include "schemas/kv.h"
#include "schemas/types.h"

namespace egret::cloud {

class SharedKv : public Kv {
 public:
  // What was begun before and not written is forgotten. Whoever wants to write about one of the facilities `about` waits
  // until this has ended: said beforehand, nothing that is done from here on is refused on their account.
  virtual void begin(std::span<const Facility> about = {}) = 0;
  virtual void end() = 0;
  // These keys are read next: fetched at once, they cost one journey. Only between begin() and end().
  virtual void expect(Space space, std::span<const Bytes> keys) const = 0;
  // The same of keys that are new, most likely, and are written if they are: they may be taken for absent without a look. If one
  // is there after all the write() is refused with conflict, and done once more it is not on that account.
  virtual void expect_new(Space space, std::span<const Bytes> keys) const = 0;
};

// All that is read and written in a block of code, where others write too.
class AtOnce {
 public:
  explicit AtOnce(Kv& kv) : shared_(dynamic_cast<SharedKv*>(&kv)) {
    if (shared_ != nullptr) shared_->begin();
  }
  ~AtOnce() {
    if (shared_ != nullptr) shared_->end();
  }
  AtOnce(const AtOnce&) = delete;
  AtOnce& operator=(const AtOnce&) = delete;

 private:
  SharedKv* const shared_;
};

}  // namespace egret::cloud
