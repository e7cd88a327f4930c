// Certificate: when a PEM certificate of this site ends.
// Promises: reads the first one of the file and nothing else of it; what cannot be read has no end.
// Leaves to others: who must be told, and how long before (doctor, status, the region).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace egret::agent {

// Its notAfter in Unix seconds. nullopt: no file, no certificate, or an end before 1970.
std::optional<int64_t> certificate_end(const std::filesystem::path& file);

}  // namespace egret::agent
