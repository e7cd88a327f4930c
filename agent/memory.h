// Memory: what a run leaves to the next beside the store: herd window, frame limits, next region key.
// Promises: losing or damaging the file costs time, while the region still has its old key; it is replaced as a whole,
// and is there after a power cut: a site that forgot the region's next key could not speak once the old one is retired.
// Leaves to others: what it means (edge/session).
#pragma once

#include <filesystem>

#include "edge/session.h"

namespace egret::agent {

edge::Memory read_memory(const std::filesystem::path& state_dir);
void write_memory(const std::filesystem::path& state_dir, const edge::Memory& memory);

}  // namespace egret::agent
