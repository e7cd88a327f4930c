// Sealing: the channels and keys of the simulator: clear text with a keyed tag, for speed; some seeds use the
// real cryptography.
// Promises: of es1 section 4 all but secrecy: real prefixes and sizes, same content same bytes, a frame opens only
// in its direction, for its facility and sid; a changed bit does not open.
// Leaves to others: the real thing (schemas/seal).
#pragma once

#include <map>
#include <memory>

#include "cloud/reconciler.h"
#include "schemas/limits.h"
#include "schemas/seal.h"

namespace egret::sim {

// What a run is made with.
struct RunKeys {
  RegionPublicKey region;
  uint64_t site = 0;                  // the site's first, second, ... key
  uint8_t version = kProtocolVersion;  // of its frames; the real cryptography knows one alone
};

class Sealing : public cloud::KeyRing {
 public:
  virtual std::unique_ptr<Channel> open_run(const Facility& fac, const RunKeys& keys, Entropy& entropy) = 0;
  std::unique_ptr<Channel> open_run(const Facility& fac, Entropy& entropy) { return open_run(fac, {newest(), 0, kProtocolVersion}, entropy); }
  virtual SitePublicKey site_key(const Facility& fac, uint64_t number) = 0;
  SitePublicKey site_key(const Facility& fac) { return site_key(fac, 0); }
  // What a frame says, for the checker; nullopt when it is no frame that a side has sealed, or is changed.
  virtual std::optional<Opened> look_into(const Facility& fac, ByteView frame) = 0;
  // The region's process is another one: what it had agreed on with runs, it agrees on anew.
  virtual void region_restarts() {}

  // The region's keys, oldest first.
  virtual RegionPublicKey newest() const = 0;
  virtual bool accepts(const RegionPublicKey& key) const = 0;
  virtual void rotate() = 0;
  virtual void retire_old() = 0;
  // As the region's key ring: with one key none.
  std::optional<RegionPublicKey> next() const override { return rotated && !retired ? std::optional(newest()) : std::nullopt; }
  bool rotated = false;
  bool retired = false;  // and the old one is gone
  bool newer_region = false;  // its messages have fields that no site knows
};

std::unique_ptr<Sealing> clear_sealing();
std::unique_ptr<Sealing> real_sealing(Entropy& entropy);

}  // namespace egret::sim
