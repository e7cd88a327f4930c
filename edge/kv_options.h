// SiteKvOptions: what everybody who opens a site's store must say of it.
// Promises: the daemon, the rescue and the tests open the same kind of store.
// Leaves to others: sizes, the disk beneath.
#pragma once

#include "edge/tables.h"
#include "schemas/kv_rocksdb.h"

namespace egret::edge {

inline KvOptions kv_options(const std::filesystem::path& dir) {
  KvOptions options;
  options.dir = dir;
  options.spaces = kEdgeSpaces;
  options.compress = false;  // blocks are compressed when they are made
  options.one_level = true;  // it may have to be brought back without its list of files
  return options;
}

}  // namespace egret::edge
