// DurableFile: files and names that are there after a power cut: a file's bytes need its own sync, its name one of its folder.
// Promises: what returned ok is on the disk; a file that is made is whole or absent, whenever the power goes.
// Leaves to others: RocksDB's files, which it syncs itself, and what is in any of them.
#pragma once

#include <sys/types.h>

#include <filesystem>

#include "schemas/error.h"
#include "schemas/types.h"

namespace egret {

// Syncs the names in `folder`; "" is the working directory. Errors: not_found, store_failed.
Result<void> sync_folder(const std::filesystem::path& folder);
// Syncs each file below `folder`, the names, and the name of `folder`. Errors: not_found, store_failed.
Result<void> sync_tree(const std::filesystem::path& folder);
// Makes `folder` with `mode`, and what is missing above it. One that is there already keeps its mode: it may be more than
// this program's. Errors: disk_full, store_failed.
Result<void> make_folder(const std::filesystem::path& folder, mode_t mode);
// Makes a file; `file`.new is in its way for a moment. Errors: conflict (something has that name), disk_full, store_failed.
Result<void> make_file(const std::filesystem::path& file, ByteView text, mode_t mode);
// The same for a file that may be there: after a power cut it is the old one or the new one.
Result<void> replace_file(const std::filesystem::path& file, ByteView text, mode_t mode);

}  // namespace egret
