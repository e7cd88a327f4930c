#include "tests/storage/damage.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <vector>

namespace egret::test {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kSector = 512, kPage = 4096;

std::string kind_of(const fs::path& file) {
  const std::string name = file.filename().string();
  if (file.extension() == ".log") return "log";
  if (file.extension() == ".sst") return "table";
  const size_t digits = name.find('-');
  return digits == std::string::npos ? name : name.substr(0, digits);
}

// How often a kind is chosen: by how much there is to break in it.
uint64_t weight_of(const std::string& kind) {
  static const std::map<std::string, uint64_t> known{{"log", 30}, {"table", 30}, {"MANIFEST", 20}};
  const auto it = known.find(kind);
  return it == known.end() ? 4 : it->second;
}

std::map<std::string, std::vector<fs::path>> files_of(const fs::path& dir) {
  std::map<std::string, std::vector<fs::path>> kinds;
  for (const auto& entry : fs::recursive_directory_iterator(dir)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_regular_file() || entry.file_size() == 0 || name == "LOCK" || name == "ballast")
      continue;
    kinds[kind_of(entry.path())].push_back(entry.path());
  }
  for (auto& [kind, files] : kinds) std::sort(files.begin(), files.end());
  return kinds;
}

void overwrite(const fs::path& file, uint64_t at, const std::string& bytes) {
  std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
  out.seekp(static_cast<std::streamoff>(at));
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::string flip(const fs::path& file, uint64_t size, Entropy& entropy) {
  const uint64_t at = entropy.below(size), bit = entropy.below(8);
  std::ifstream in(file, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(at));
  const char flipped = static_cast<char>(in.get() ^ (1 << bit));
  in.close();
  overwrite(file, at, std::string(1, flipped));
  return fmt::format("bit {} of byte {} flipped", bit, at);
}

std::string scribble(const fs::path& file, uint64_t size, Entropy& entropy) {
  const uint64_t at = entropy.below(size);
  std::string bytes(std::min(size - at, 1 + entropy.below(64)), '\0');
  entropy.fill(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size());
  overwrite(file, at, bytes);
  return fmt::format("{} bytes at {} are others", bytes.size(), at);
}

std::string blank(const fs::path& file, uint64_t size, uint64_t unit, Entropy& entropy) {
  const uint64_t at = entropy.below((size + unit - 1) / unit) * unit;
  overwrite(file, at, std::string(std::min(unit, size - at), '\0'));
  return fmt::format("{} bytes at {} are zeros", std::min(unit, size - at), at);
}

std::string cut(const fs::path& file, uint64_t size, uint64_t kept) {
  fs::resize_file(file, kept);
  return fmt::format("cut from {} bytes to {}", size, kept);
}

std::string change(const fs::path& file, Entropy& entropy) {
  const uint64_t size = fs::file_size(file);
  switch (entropy.below(10)) {
    case 0:
      return cut(file, size, entropy.below(size));
    case 1:
      return cut(file, size, size - std::min(size, 1 + entropy.below(64)));
    case 2:
      return cut(file, size, entropy.below(size + kSector) / kSector * kSector % (size + 1));
    case 3:
      return blank(file, size, kSector, entropy);
    case 4:
      return blank(file, size, kPage, entropy);
    case 5:
      return scribble(file, size, entropy);
    default:
      return flip(file, size, entropy);
  }
}

}  // namespace

Damage damage(const fs::path& dir, Entropy& entropy) {
  const auto kinds = files_of(dir);
  uint64_t all = 0;
  for (const auto& [kind, files] : kinds) all += weight_of(kind);
  uint64_t chosen = entropy.below(all);
  for (const auto& [kind, files] : kinds) {
    if (chosen >= weight_of(kind)) {
      chosen -= weight_of(kind);
      continue;
    }
    const fs::path& file = files[entropy.below(files.size())];
    return {kind, file.filename().string() + ": " + change(file, entropy)};
  }
  return {"none", "no file"};
}

}  // namespace egret::test
