// Damage: what a bad disk does to a folder of files: a flipped bit, bytes of something else, lost
// sectors and pages, a file cut short. Promises: one change of one file a call, the same for the
// same chance; every kind of file is met, small ones too. Leaves to others: what must come of it.
#pragma once

#include <filesystem>
#include <string>

#include "schemas/types.h"

namespace egret::test {

struct Damage {
  std::string kind;  // of the file: "log", "table", "MANIFEST", …
  std::string what;  // for a person, to find it again: name, place and way
};

// Changes one of the files below `dir`. Lock files and the ballast, which hold nothing, are left
// alone.
Damage damage(const std::filesystem::path& dir, Entropy& entropy);

}  // namespace egret::test
