// Sealing: the channels and keys of the simulator: clear text with a keyed tag, for speed; some seeds use the
// real cryptography.
// Promises: of es1 section 4 all but secrecy: real prefixes and sizes, same content same bytes, a frame opens only
// in its direction, for its facility and sid; a changed bit does not open.
// Leaves to others: the real thing (schemas/seal).
#pragma once

#include <map>
#include <memory>

#include "cloud/reconciler.h"
#include "schemas/seal.h"

namespace egret::sim {

class Sealing : public cloud::KeyRing {
 public:
  virtual std::unique_ptr<Channel> open_run(const Facility& fac, Entropy& entropy) = 0;
  virtual SitePublicKey site_key(const Facility& fac) = 0;
  // What a frame says, for the checker; nullopt when it is no frame that a side has sealed, or is changed.
  virtual std::optional<Opened> look_into(const Facility& fac, ByteView frame) = 0;
  // The region's process is another one: what it had agreed on with runs, it agrees on anew.
  virtual void region_restarts() {}
  std::optional<RegionPublicKey> next() const override { return std::nullopt; }
};

std::unique_ptr<Sealing> clear_sealing();
std::unique_ptr<Sealing> real_sealing(Entropy& entropy);

}  // namespace egret::sim
