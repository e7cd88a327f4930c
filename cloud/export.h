// Export: what the region holds, as NDJSON in the order of the ledger; documents byte for byte.
// Promises: one line a number or a gap; the raw body on request, so that anybody can recompute its hash; a document
// that is written has the size and SHA-256 that was stated.
// Leaves to others: who may see it, where it goes.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "cloud/tables.h"

namespace egret::cloud {

struct ExportOptions {
  Facility fac;   // empty: all
  std::string kind;  // "ai_result" …; empty: all
  bool raw = false;  // body_b64 too
  std::filesystem::path documents;  // empty: none are written
  bool restricted = false;  // bodies of patients whose data is restricted, too
};
struct Exported {
  uint64_t lines = 0, documents = 0, incomplete_documents = 0;
};
// `line` takes one line without its end. Errors: corrupt, store_failed.
Result<Exported> export_records(const Kv& kv, const ExportOptions& options, const std::function<void(const std::string&)>& line);

}  // namespace egret::cloud
