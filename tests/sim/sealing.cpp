#include "tests/sim/sealing.h"

#include <algorithm>

#include "schemas/chain.h"
#include "schemas/limits.h"
#include "tests/sim/skew.h"

namespace egret::sim {
namespace {

constexpr char kUp = 'u', kDown = 'd';

char direction_of(FrameType type) {
  return type == FrameType::hello || type == FrameType::batch ? kUp : kDown;
}

SessionId sid_of(ByteView enc) {
  return take<sizeof(SessionId)>(view(sha256(enc)));
}

Bytes keyed(char what, const Facility& fac, char direction, ByteView bytes) {
  return Bytes(1, what) + fac + '\0' + direction + Bytes(bytes);
}

Hash tag_of(const Facility& fac, char direction, ByteView prefix, ByteView body) {
  return sha256(keyed('t', fac, direction, Bytes(prefix) + Bytes(body)));
}

Hash clear_site_key(const Facility& fac, uint64_t number) {
  return number == 0 ? sha256(fac) : sha256(fac + " " + std::to_string(number));
}

Bytes sign(const Facility& fac, const Hash& key, ByteView message) {
  const Hash h = sha256(keyed('s', fac, kUp, Bytes(view(key)) + Bytes(message)));
  return Bytes(view(h)) + Bytes(view(h));
}

RegionPublicKey clear_region_key(uint64_t number) {
  RegionPublicKey key;
  key.point.fill(static_cast<uint8_t>('k' + number));
  return key;
}

class ClearChannel final : public Channel {
 public:
  ClearChannel(Facility fac, Bytes enc, const RunKeys& keys, bool edge)
      : fac_(std::move(fac)), enc_(std::move(enc)), keys_(keys), sid_(sid_of(enc_)), edge_(edge) {}
  const SessionId& sid() const override { return sid_; }

  Sealed seal(FrameType type, ByteView body) override {
    const char direction = edge_ ? kUp : kDown;
    Sealed sealed;
    const Bytes named = Bytes(1, static_cast<char>(type)) + Bytes(view(sid_)) + Bytes(body);
    sealed.nonce = take<sizeof(Nonce)>(view(sha256(keyed('n', fac_, direction, named))));
    const Bytes prefix = encode_prefix({keys_.version, kSuite, type, sid_, sealed.nonce});
    sealed.frame = prefix;
    if (type == FrameType::hello) sealed.frame += Bytes(view(keys_.region.kid())) + enc_;
    sealed.frame += body;
    sealed.frame += view(tag_of(fac_, direction, prefix, body)).substr(0, kTagBytes);
    if (type == FrameType::hello) sealed.frame += sign(fac_, clear_site_key(fac_, keys_.site), sealed.frame);
    return sealed;
  }

  Result<Opened> open(ByteView frame) override {
    Result<ParsedFrame> parsed = parse_frame(frame);
    if (!parsed) return parsed.error();
    if (parsed->prefix.sid != sid_) return Error{Errc::unknown_session, "frame: another sid"};
    const char direction = edge_ ? kDown : kUp;
    if (direction_of(parsed->prefix.type) != direction) return Error{Errc::bad_frame, "frame: direction"};
    const ByteView body = parsed->sealed.substr(0, parsed->sealed.size() - kTagBytes);
    const Hash tag = tag_of(fac_, direction, parsed->clear_prefix, body);
    if (parsed->sealed.substr(body.size()) != view(tag).substr(0, kTagBytes)) {
      return Error{Errc::bad_frame, "frame: tag"};
    }
    return Opened{parsed->prefix, Bytes(body)};
  }

 private:
  Facility fac_;
  Bytes enc_;
  RunKeys keys_;
  SessionId sid_;
  bool edge_;
};

class ClearSealing final : public Sealing {
 public:
  std::unique_ptr<Channel> open_run(const Facility& fac, const RunKeys& keys, Entropy& entropy) override {
    Bytes enc(32, '\0');
    entropy.fill(reinterpret_cast<uint8_t*>(enc.data()), enc.size());
    return std::make_unique<ClearChannel>(fac, enc, keys, true);
  }
  SitePublicKey site_key(const Facility& fac, uint64_t number) override { return {clear_site_key(fac, number)}; }
  Result<std::shared_ptr<Channel>> join(const Facility& fac, const KeyId& kid, ByteView enc) override {
    for (uint64_t n = oldest_; n <= newest_; n++) {
      const RegionPublicKey key = clear_region_key(n);
      if (key.kid() != kid) continue;
      auto channel = std::make_unique<ClearChannel>(fac, Bytes(enc), RunKeys{key, 0, kProtocolVersion}, false);
      return newer_region ? newer_channel(std::move(channel)) : std::shared_ptr<Channel>(std::move(channel));
    }
    return Error{Errc::unknown_session, "kid: not ours"};
  }
  bool signed_by(const SitePublicKey& key, const Facility& fac, const ParsedFrame& hello) override {
    return hello.signature == sign(fac, key.point, hello.signed_part);
  }
  RegionPublicKey newest() const override { return clear_region_key(newest_); }
  bool accepts(const RegionPublicKey& key) const override {
    return key.point[0] >= 'k' + oldest_ && key.point[0] <= 'k' + newest_;
  }
  void rotate() override { newest_++, rotated = true; }
  void retire_old() override { oldest_ = newest_; }

  std::optional<Opened> look_into(const Facility&, ByteView frame) override {
    const Result<ParsedFrame> parsed = parse_frame(frame);
    if (!parsed || parsed->sealed.size() < kTagBytes) return std::nullopt;
    return Opened{parsed->prefix, Bytes(parsed->sealed.substr(0, parsed->sealed.size() - kTagBytes))};
  }

 private:
  uint64_t oldest_ = 0, newest_ = 0;
};

// The real cryptography, and what went into it, so that the checker sees what nobody else can.
using SeenFrames = std::map<Bytes, Opened>;

class SeenChannel final : public Channel {
 public:
  SeenChannel(std::unique_ptr<Channel> real, SeenFrames& seen) : real_(std::move(real)), seen_(seen) {}
  const SessionId& sid() const override { return real_->sid(); }
  Sealed seal(FrameType type, ByteView body) override {
    Sealed sealed = real_->seal(type, body);
    if (const auto parsed = parse_frame(sealed.frame)) seen_[sealed.frame] = {parsed->prefix, Bytes(body)};
    return sealed;
  }
  Result<Opened> open(ByteView frame) override { return real_->open(frame); }

 private:
  std::unique_ptr<Channel> real_;
  SeenFrames& seen_;
};

class RealSealing final : public Sealing {
 public:
  explicit RealSealing(Entropy& entropy) : entropy_(entropy), regions_{make_region_key(entropy)} {}
  std::unique_ptr<Channel> open_run(const Facility& fac, const RunKeys& keys, Entropy& entropy) override {
    return std::make_unique<SeenChannel>(open_edge_channel(fac, keys.region, site(fac, keys.site), entropy), seen_);
  }
  SitePublicKey site_key(const Facility& fac, uint64_t number) override { return site(fac, number).public_key(); }
  Result<std::shared_ptr<Channel>> join(const Facility& fac, const KeyId& kid, ByteView enc) override {
    const auto region = std::ranges::find_if(regions_, [&](const RegionPrivateKey& k) { return k.public_key().kid() == kid; });
    if (region == regions_.end()) return Error{Errc::unknown_session, "kid: not ours"};
    std::shared_ptr<Channel>& known = joined_[{fac, Bytes(enc)}];
    if (known) return known;
    Result<std::unique_ptr<Channel>> channel = join_cloud_channel(fac, *region, enc);
    if (!channel) return channel.error();
    auto seen = std::make_unique<SeenChannel>(std::move(*channel), seen_);
    known = newer_region ? newer_channel(std::move(seen)) : std::shared_ptr<Channel>(std::move(seen));
    return known;
  }
  RegionPublicKey newest() const override { return regions_.back().public_key(); }
  bool accepts(const RegionPublicKey& key) const override {
    return std::ranges::any_of(regions_, [&](const RegionPrivateKey& k) { return k.public_key().point == key.point; });
  }
  void rotate() override {
    regions_.push_back(make_region_key(entropy_));
    rotated = true;
  }
  void retire_old() override {
    regions_.erase(regions_.begin(), regions_.end() - 1);
    joined_.clear();
  }
  bool signed_by(const SitePublicKey& key, const Facility& fac, const ParsedFrame& hello) override {
    return hello_signed_by(key, fac, hello);
  }
  std::optional<Opened> look_into(const Facility&, ByteView frame) override {
    const auto it = seen_.find(Bytes(frame));
    return it == seen_.end() ? std::nullopt : std::optional(it->second);
  }
  void region_restarts() override { joined_.clear(); }

 private:
  const SitePrivateKey& site(const Facility& fac, uint64_t number) {
    auto it = sites_.find({fac, number});
    if (it == sites_.end()) it = sites_.emplace(std::pair(fac, number), make_site_key(entropy_)).first;
    return it->second;
  }
  Entropy& entropy_;
  std::vector<RegionPrivateKey> regions_;
  std::map<std::pair<Facility, uint64_t>, SitePrivateKey> sites_;
  std::map<std::pair<Facility, Bytes>, std::shared_ptr<Channel>> joined_;
  SeenFrames seen_;
};

}  // namespace

std::unique_ptr<Sealing> clear_sealing() {
  return std::make_unique<ClearSealing>();
}
std::unique_ptr<Sealing> real_sealing(Entropy& entropy) {
  return std::make_unique<RealSealing>(entropy);
}

}  // namespace egret::sim
