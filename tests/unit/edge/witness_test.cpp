// The witness file: two slots, each with a checksum (es1 section 7).
#include "edge/witness.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "schemas/limits.h"

using namespace egret;
using namespace egret::edge;

namespace {

struct File {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("witness-" + std::to_string(::getpid()));
  ~File() { std::filesystem::remove(path); }
  void flip(size_t at) {
    std::fstream f(path, std::ios::in | std::ios::out | std::ios::binary);
    f.seekg(static_cast<std::streamoff>(at));
    char c = static_cast<char>(f.get() ^ 1);
    f.seekp(static_cast<std::streamoff>(at));
    f.put(c);
  }
};

WitnessPoint point(uint64_t head) { return {{7}, StreamId::result, {head}, 99, static_cast<uint32_t>(head + 5)}; }

}  // namespace

TEST_CASE("the newest point is read back", "[witness]") {
  File file;
  {
    Witness w = Witness::open(file.path).value();
    CHECK_FALSE(w.last());
    for (uint64_t head = 1; head <= 5; head++) REQUIRE(w.write(point(head)).has_value());
  }
  CHECK(std::filesystem::file_size(file.path) == kWitnessBytes);
  Witness again = Witness::open(file.path).value();
  REQUIRE(again.last());
  CHECK(again.last()->head == Seq{5});
  CHECK(again.last()->epoch == EpochId{7});
  CHECK(again.last()->records == 10);
  CHECK(again.last()->stream == StreamId::result);
}

TEST_CASE("a damaged slot leaves the one before it", "[witness]") {
  for (size_t byte = 0; byte < kWitnessBytes; byte++) {
    File file;
    {
      Witness w = Witness::open(file.path).value();
      for (uint64_t head = 1; head <= 4; head++) REQUIRE(w.write(point(head)).has_value());
    }
    file.flip(byte);
    Witness again = Witness::open(file.path).value();
    REQUIRE(again.last());
    uint64_t head = again.last()->head.value;
    CHECK((head == 4 || head == 3));
  }
}

TEST_CASE("a tail that is gone in any lane is missed, not only in the one that is named", "[witness]") {
  View view;
  view.current = {7};
  EpochView& epoch = view.epochs.emplace_back();
  epoch.id = {7};
  epoch.streams[1].head = {100};
  epoch.streams[3].head = {3};
  const WitnessPoint point = witness_point(view).value();
  CHECK(point.stream == StreamId::result);
  CHECK(point.records == 103);
  CHECK_FALSE(is_shorter(view, point));
  epoch.streams[3].head = {2};
  CHECK(is_shorter(view, point));
  epoch.streams[1].head = {200};  // a lane that grew since hides it: the point is a second old at most
  CHECK_FALSE(is_shorter(view, point));
  epoch.streams[1].head = {99};
  CHECK(is_shorter(view, point));
}
