#include "schemas/seal.h"

#include <catch2/catch.hpp>

#include "schemas/chain.h"
#include "schemas/limits.h"
#include "tests/sim/seeded_entropy.h"
#include "tests/unit/schemas/vectors.h"

using namespace egret;
using egret::test::for_each_vector;
using egret::test::unhex;
using egret::test::Vector;

namespace {

class Given final : public Entropy {  // hands out the bytes it was given
 public:
  explicit Given(ByteView bytes) : bytes_(bytes) {}
  uint64_t next() override {
    REQUIRE(at_ + 8 <= bytes_.size());
    uint64_t v;
    std::memcpy(&v, bytes_.data() + at_, 8);
    at_ += 8;
    return v;
  }

 private:
  Bytes bytes_;
  size_t at_ = 0;
};

struct Ends {
  Facility fac = "clinic-7";
  RegionPrivateKey region;
  SitePrivateKey site;
  std::unique_ptr<Channel> edge, cloud;

  explicit Ends(uint64_t seed = 1, Facility name = "clinic-7") : fac(std::move(name)) {
    SeededEntropy entropy(seed);
    region = make_region_key(entropy);
    site = make_site_key(entropy);
    edge = open_edge_channel(fac, region.public_key(), site, entropy);
    cloud = join(fac, region, enc());
  }
  Bytes enc() {
    const Bytes hello = edge->seal(FrameType::hello, "").frame;
    return Bytes(parse_frame(hello)->hello_clear.substr(sizeof(KeyId)));
  }
  static std::unique_ptr<Channel> join(const Facility& fac, const RegionPrivateKey& region,
                                       ByteView enc) {
    auto joined = join_cloud_channel(fac, region, enc);
    REQUIRE(joined.has_value());
    return std::move(*joined);
  }
};

Errc refusal(Channel& channel, ByteView frame) {
  auto opened = channel.open(frame);
  REQUIRE(opened.has_error());
  INFO(opened.error().text);
  return opened.error().code;
}

}  // namespace

// RFC 4231 section 4, test cases 1, 2 and 6.
TEST_CASE("hmac_sha256 gives the published values") {
  CHECK(hex(view(hmac_sha256(Bytes(20, '\x0b'), "Hi There"))) ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(hex(view(hmac_sha256("Jefe", "what do ya want for nothing?"))) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hex(view(hmac_sha256(Bytes(131, '\xaa'),
                             "Test Using Larger Than Block-Size Key - Hash Key First"))) ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

// RFC 8032 section 7.1, tests 1, 2 and 3.
TEST_CASE("site keys sign and verify as Ed25519 says") {
  struct {
    const char *seed, *point, *message, *signature;
  } const rows[] = {
      {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
       "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
       "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf"
       "9b46bd25bf5f0595bbe24"
       "655141438e7a100b"},
      {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
       "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
       "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f"
       "11d8c387b2eaeb4302aee"
       "b00d291612bb0c00"},
      {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
       "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
       "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984"
       "dc6594a7c15e9716ed28d"
       "c027beceea1ec40a"},
  };
  for (const auto& row : rows) {
    const SitePrivateKey key{test::unhex_array(row.seed)};
    const Bytes message = unhex(row.message), signature = unhex(row.signature);
    CHECK(hex(view(key.public_key().point)) == row.point);
    CHECK(hex(view(key.sign(message))) == row.signature);
    CHECK(verify(key.public_key(), message, signature));
    CHECK_FALSE(verify(key.public_key(), message + "x", signature));
    CHECK_FALSE(verify(key.public_key(), message, ByteView(signature).substr(1)));
    CHECK_FALSE(verify(key.public_key(), message, ""));
    Bytes bad = signature;
    bad[40] ^= 1;
    CHECK_FALSE(verify(key.public_key(), message, bad));
  }
}

TEST_CASE(
    "frames are those of the second implementation, byte for byte, and open to their bodies") {
  for_each_vector("frames/vectors.json", [&](const Vector& v) {
    const auto type = FrameType(v.number("type"));
    CAPTURE(v.text("fac"), name_of(type), v.text("body"));
    const RegionPrivateKey region{v.key("region_private")};
    const SitePrivateKey site{v.key("site_private")};
    CHECK(region.public_key().point == v.key("region_public"));
    CHECK(site.public_key().point == v.key("site_public"));
    Given ephemeral(v.bytes("ephemeral"));
    const auto edge = open_edge_channel(v.text("fac"), region.public_key(), site, ephemeral);
    const auto cloud = Ends::join(v.text("fac"), region, v.bytes("enc"));
    CHECK(view(edge->sid()) == v.bytes("sid"));
    CHECK(edge->sid() == cloud->sid());
    const bool up = type == FrameType::hello || type == FrameType::batch;
    const Sealed sealed = (up ? *edge : *cloud).seal(type, v.bytes("body"));
    CHECK(hex(sealed.frame) == v.text("frame"));
    auto opened = (up ? *cloud : *edge).open(sealed.frame);
    REQUIRE(opened.has_value());
    CHECK(opened->body == v.bytes("body"));
    CHECK(opened->prefix.type == type);
    CHECK(opened->prefix.nonce == sealed.nonce);
    if (type == FrameType::hello) {
      CHECK(hello_signed_by(site.public_key(), v.text("fac"), *parse_frame(sealed.frame)));
    }
  });
}

TEST_CASE("same content gives the same bytes, other content another nonce") {
  Ends ends;
  const Sealed a = ends.edge->seal(FrameType::batch, "body");
  CHECK(a.frame == ends.edge->seal(FrameType::batch, "body").frame);
  CHECK(a.nonce != ends.edge->seal(FrameType::batch, "bodz").nonce);
  CHECK(a.nonce != ends.edge->seal(FrameType::hello, "body").nonce);
  CHECK(a.nonce != ends.cloud->seal(FrameType::ack, "body").nonce);
  CHECK(a.nonce != Ends(2).edge->seal(FrameType::batch, "body").nonce);
}

TEST_CASE("no byte of a frame can change without its being refused") {
  Ends ends;
  for (FrameType type : {FrameType::hello, FrameType::batch}) {
    const Bytes frame = ends.edge->seal(type, "some body").frame;
    const size_t signature_at =
        type == FrameType::hello ? frame.size() - kSignatureBytes : frame.size();
    for (size_t bit = 0; bit < frame.size() * 8; ++bit) {
      Bytes bad = frame;
      bad[bit / 8] ^= char(1 << bit % 8);
      CAPTURE(name_of(type), bit);
      if (bit / 8 < signature_at) {
        CHECK(ends.cloud->open(bad).has_error());
      } else {
        CHECK_FALSE(hello_signed_by(ends.site.public_key(), ends.fac, *parse_frame(bad)));
      }
    }
    for (size_t n = 0; n < frame.size(); ++n) {
      CHECK((ends.cloud->open(ByteView(frame).substr(0, n)).has_error() || n >= signature_at));
    }
  }
}

TEST_CASE("a frame opens only in its direction, for its facility, its session and its region key") {
  Ends ends;
  const Bytes batch = ends.edge->seal(FrameType::batch, "up").frame;
  const Bytes ack = ends.cloud->seal(FrameType::ack, "down").frame;
  CHECK(refusal(*ends.edge, batch) == Errc::bad_frame);
  CHECK(refusal(*ends.cloud, ack) == Errc::bad_frame);
  CHECK(ends.edge->open(ack)->body == "down");

  // An ACK's bytes relabelled as a BATCH, and the reverse: the type is sealed too.
  Bytes relabelled = ack;
  relabelled[3] = char(FrameType::batch);
  CHECK(refusal(*ends.cloud, relabelled) == Errc::bad_frame);
  relabelled = batch;
  relabelled[3] = char(FrameType::hello);
  CHECK(ends.cloud->open(relabelled).has_error());

  CHECK(refusal(*Ends(2).cloud, batch) == Errc::unknown_session);
  const auto other_name = Ends::join("clinic-8", ends.region, ends.enc());
  CHECK(other_name->sid() == ends.cloud->sid());
  CHECK(refusal(*other_name, batch) == Errc::bad_frame);
  SeededEntropy entropy(9);
  const auto other_region = Ends::join(ends.fac, make_region_key(entropy), ends.enc());
  CHECK(refusal(*other_region, batch) == Errc::bad_frame);
  CHECK(refusal(*other_region, ends.edge->seal(FrameType::hello, "").frame) == Errc::bad_frame);
  CHECK(refusal(*ends.edge, need_hello_frame(ends.edge->sid(), Nonce{})) == Errc::bad_frame);
}

TEST_CASE("a HELLO is signed by its site, for its facility alone") {
  Ends ends;
  const Bytes hello = ends.edge->seal(FrameType::hello, "I am here").frame;
  const auto parsed = parse_frame(hello);
  REQUIRE(parsed.has_value());
  CHECK(hello_signed_by(ends.site.public_key(), ends.fac, *parsed));
  CHECK_FALSE(hello_signed_by(ends.site.public_key(), "clinic-8", *parsed));
  CHECK_FALSE(hello_signed_by(ends.site.public_key(), "", *parsed));
  CHECK_FALSE(hello_signed_by(Ends(2).site.public_key(), ends.fac, *parsed));
  const Bytes batch = ends.edge->seal(FrameType::batch, Bytes(200, 'x')).frame;
  CHECK_FALSE(hello_signed_by(ends.site.public_key(), ends.fac, *parse_frame(batch)));
  CHECK(view(ends.region.public_key().kid()) == parsed->hello_clear.substr(0, sizeof(KeyId)));
  CHECK(view(ends.region.public_key().kid()) ==
        view(sha256(view(ends.region.public_key().point))).substr(0, sizeof(KeyId)));
}

TEST_CASE("bodies from nothing to the largest frame go through whole") {
  Ends ends;
  const size_t largest = kFrameBytesAgreedMax - kFramePrefixBytes - kTagBytes;
  for (size_t n : {size_t(0), size_t(1), size_t(4096), kFrameBytesMax, largest}) {
    const Bytes body(n, 'b');
    auto up = ends.cloud->open(ends.edge->seal(FrameType::batch, body).frame);
    auto down = ends.edge->open(ends.cloud->seal(FrameType::ack, body).frame);
    REQUIRE(up.has_value());
    REQUIRE(down.has_value());
    CHECK((up->body == body && down->body == body));
  }
  auto nothing = ends.cloud->open(ends.edge->seal(FrameType::batch, ByteView()).frame);
  REQUIRE(nothing.has_value());
  CHECK(nothing->body.empty());
}

TEST_CASE("an enc of the wrong length or of low order is refused") {
  Ends ends;
  for (const Bytes& enc : {Bytes(), Bytes(31, '\1'), Bytes(33, '\1'), Bytes(32, '\0')}) {
    auto joined = join_cloud_channel(ends.fac, ends.region, enc);
    REQUIRE(joined.has_error());
    CHECK(joined.error().code == Errc::bad_frame);
  }
  CHECK_FALSE(RegionPublicKey{}.usable());
  CHECK(ends.region.public_key().usable());
}

TEST_CASE("keys come from the entropy given and from nowhere else") {
  SeededEntropy a(5), b(5), c(6);
  const auto first = make_site_key(a);
  CHECK(first.seed == make_site_key(b).seed);
  CHECK(first.seed != make_site_key(c).seed);
  CHECK(make_region_key(a).scalar == make_region_key(b).scalar);
  CHECK(Ends(3).edge->seal(FrameType::hello, "x").frame ==
        Ends(3).edge->seal(FrameType::hello, "x").frame);
}
