// Memory: what a run leaves to the next beside the store: herd window, frame limits, next region key.
// Promises: losing or damaging the file costs time only; it is replaced as a whole.
// Leaves to others: what it means (edge/session).
#pragma once

#include <filesystem>

#include "edge/session.h"

namespace egret::agent {

edge::Memory read_memory(const std::filesystem::path& state_dir);
void write_memory(const std::filesystem::path& state_dir, const edge::Memory& memory);

}  // namespace egret::agent
