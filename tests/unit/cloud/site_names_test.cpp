// What people call a site, and its district: what may be said, how it is kept, and where it is shown.
#include "api_rig.h"
#include "cloud/control.h"
#include "cloud/site_names.h"

using namespace egret;
using namespace egret::cloud;

namespace {

const std::string kKey(64, 'a');

struct NamesRig : ApiRig {
  ControlAnswer run(const std::string& name, ControlArgs args) {
    args["fac"] = "clinic-7";
    args["by"] = "ops";
    return run_control(name, args, opened, folder.path(), now);
  }
  Registration site() { return opened.store->begin()->registration("clinic-7").value().value(); }
};

}  // namespace

TEST_CASE("a registration of before there were names is read as ever, and without names none is written otherwise", "[names]") {
  const Bytes old = Bytes("\x03\x01", 2) + Bytes(32, 'k');  // as every version has written it
  const auto row = decode_registration(old);
  REQUIRE(row.has_value());
  CHECK((row->revoked && row->blocked && row->keys.size() == 1 && row->district.empty() && row->name.empty()));
  CHECK(encode(*row) == old);
  Registration named = *row;
  named.name = "7";
  CHECK(encode(named).starts_with(old));
  CHECK(decode_registration(encode(named))->name == "7");
  // Never written so.
  for (const Bytes& more : {Bytes(8, '\0'), Bytes(7, '\0'), Bytes("\0\0\0\1x", 5), Bytes("\0\0\0\1x\0\0\0\0y", 10), Bytes("\xff\xff\xff\xffx", 5)}) {
    INFO(hex(more));
    CHECK(decode_registration(old + more).error().code == Errc::corrupt);
  }
}

TEST_CASE("an operator says, changes and takes away a site's name and district, and nothing else changes by it", "[names]") {
  NamesRig rig;
  REQUIRE(rig.run("facility.add", {{"key", kKey}, {"district", "海沧区"}}).code == 0);
  CHECK(rig.site().district == "海沧区");
  const auto set = rig.run("facility.set", {{"name", "Clinic \"7\" <img src=x onerror=alert(1)>"}});
  CHECK(set.code == 0);
  CHECK(set.text == R"({"facility":"clinic-7","keys":1,"revoked":false,"blocked":false,"district":"海沧区","name":"Clinic \"7\" <img src=x onerror=alert(1)>"})");
  // A second key, a block: what people call it stays.
  REQUIRE(rig.run("facility.add", {{"key", std::string(64, 'b')}}).code == 0);
  REQUIRE(rig.run("facility.block", {{"on", "1"}}).code == 0);
  CHECK((rig.site().keys.size() == 2 && rig.site().blocked && rig.site().district == "海沧区"));
  const std::string shown = rig.get("/api/facilities", Role::viewer).body;
  CHECK(shown.find(R"("facility":"clinic-7","name":"Clinic \"7\" <img src=x onerror=alert(1)>","district":"海沧区","keys":2)") != std::string::npos);
  REQUIRE(rig.run("facility.set", {{"district", ""}, {"name", ""}}).code == 0);
  CHECK(encode(rig.site()).size() == 2 + 2 * 32);
  CHECK(rig.run("facility.set", {}).code == 2);
  CHECK(run_control("facility.set", {{"fac", "clinic-8"}, {"name", "x"}}, rig.opened, rig.folder.path(), rig.now).code == 1);
}

TEST_CASE("a name that is too long, no text, or not what it looks like is refused, and says which", "[names]") {
  NamesRig rig;
  REQUIRE(rig.run("facility.add", {{"key", kKey}}).code == 0);
  CHECK(check_district(std::string(kDistrictBytesMax, 'd')).has_value());
  CHECK(check_district(std::string(kDistrictBytesMax + 1, 'd')).error().text == "--district: 97 bytes, at most 96");
  CHECK(check_site_name(std::string(kSiteNameBytesMax, 'n')).has_value());
  CHECK(check_site_name(std::string(kSiteNameBytesMax + 1, 'n')).error().text == "--name: 193 bytes, at most 192");
  for (const char* bad : {"\xff", "a\nb", "a\tb", "\x1b[2J", "a\x7f", "a\xC2\x9B", "\xE2\x80\xAE" "abc", "abc\xE2\x81\xA6", "\xEF\xBB\xBFx", "a\xE2\x80\xA8" "b", " a", "a "}) {
    INFO(hex(ByteView(bad)));
    CHECK(rig.run("facility.set", {{"name", bad}}).code == 2);
    CHECK(rig.run("facility.set", {{"district", bad}}).code == 2);
  }
  CHECK(rig.site().name.empty());
  for (const char* good : {"海沧第七诊所", "Klinik Ä", "مركز صحي", "a b", "\xC2\xA0x"}) CHECK(check_site_name(good).has_value());
}
