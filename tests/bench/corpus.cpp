#include "tests/bench/corpus.h"

#include <zstd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace egret::bench {
namespace {

std::string unzstd(const std::string& packed) {
  std::string out;
  std::vector<char> chunk(ZSTD_DStreamOutSize());
  ZSTD_DStream* stream = ZSTD_createDStream();
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  while (in.pos < in.size) {
    ZSTD_outBuffer buffer{chunk.data(), chunk.size(), 0};
    if (ZSTD_isError(ZSTD_decompressStream(stream, &buffer, &in))) break;
    out.append(chunk.data(), buffer.pos);
  }
  ZSTD_freeDStream(stream);
  return out;
}

}  // namespace

std::vector<std::string> observations(size_t count, size_t bytes) {
  std::string path = std::string(EGRET_SOURCE_DIR) + "/tests/data/fhir/synthea/Observation.ndjson.zst";
  std::ifstream file(path, std::ios::binary);
  std::stringstream packed;
  packed << file.rdbuf();
  std::string text = unzstd(packed.str());
  if (text.size() < 2 * bytes) {
    std::fprintf(stderr, "bench: no observations in %s\n", path.c_str());
    std::exit(66);
  }
  std::vector<std::string> out;
  out.reserve(count);
  size_t at = 0;
  for (size_t i = 0; i < count; i++) {
    if (at + bytes > text.size()) at = i % 97;
    std::string record = text.substr(at, bytes);
    at += bytes;
    std::string number = std::to_string(1'000'000'000 + i);
    record.replace(bytes / 2, number.size(), number);
    out.push_back(std::move(record));
  }
  return out;
}

}  // namespace egret::bench
