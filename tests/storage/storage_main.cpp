// main of the storage tests: Catch2's, with one option of our own.
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>

#include "tests/storage/storage_main.h"

namespace egret::test {

bool long_run = false;

}  // namespace egret::test

int main(int argc, char** argv) {
  Catch::Session session;
  session.cli(session.cli() | Catch::clara::Opt(egret::test::long_run)["--long"](
                                  "cut the power at every operation"));
  if (const int wrong = session.applyCommandLine(argc, argv); wrong != 0) return wrong;
  if (std::filesystem::exists("/dev/shm"))
    ::setenv("TMPDIR", "/dev/shm", 0);  // what is synced, we remember ourselves
  return session.run();
}
