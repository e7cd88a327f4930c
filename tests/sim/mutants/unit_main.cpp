// The unit tests with one planted bug, named by EGRET_MUTANT: they must fail.
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>

#include "schemas/mutants.h"

int main(int argc, char** argv) {
  const char* name = std::getenv("EGRET_MUTANT");
  for (int i = 0; name && i <= egret::kMutants; i++) {
    if (std::strcmp(name, egret::name_of(static_cast<egret::Mutant>(i))) == 0) egret::planted_mutant = static_cast<egret::Mutant>(i);
  }
  return Catch::Session().run(argc, argv);
}
