// Corpus: benchmark records of a given size made of real Synthea observations.
// Promises: each record differs from every other (a number stands in it), so nothing is deduplicated away; the same
// seed file gives the same records.
// Leaves to others: what is done with them.
#pragma once

#include <string>
#include <vector>

namespace egret::bench {

// `count` texts of exactly `bytes` bytes each, cut from or filled up with neighbouring observations.
// Ends the program with a message when the sample file is missing.
std::vector<std::string> observations(size_t count, size_t bytes);

}  // namespace egret::bench
