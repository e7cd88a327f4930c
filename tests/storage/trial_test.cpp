// What becomes of a trial that does not end, and of one that is only slow.
#include "tests/storage/trial.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <stdexcept>
#include <thread>

using namespace egret::test;
using std::chrono::seconds;

TEST_CASE("a trial that goes round in circles is ended, one that merely takes long is not") {
  volatile bool for_ever = true;
  const Ended circles = in_own_process(
      [&] {
        while (for_ever) {
        }
        return "never";
      },
      seconds(1));
  CHECK(circles.how == Ended::How::hung);
  CHECK(circles.text.find("circles") != std::string::npos);
  const Ended slow = in_own_process(
      [] {
        std::this_thread::sleep_for(seconds(2));
        return "done";
      },
      seconds(1));
  CHECK(slow.how == Ended::How::said);
  CHECK(slow.text == "done");
}

TEST_CASE("a trial that crashes is told from one that ends") {
  CHECK(in_own_process([]() -> std::string { std::abort(); }, seconds(1)).how ==
        Ended::How::crashed);
  CHECK(in_own_process([]() -> std::string { throw std::runtime_error("x"); }, seconds(1))
            .text.starts_with("WRONG"));
}
