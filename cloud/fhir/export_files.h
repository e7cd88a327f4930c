// ExportFiles: resources as lines of files, a type in as many files as it needs
// (application/fhir+ndjson). Promises: memory is one buffer (kFhirExportBufferBytes); files are for
// this user alone (0600); the disk that they share with the store keeps `free_bytes`. Leaves to
// others: when the folder goes (exports.h).
#pragma once

#include <filesystem>

#include "cloud/fhir/json.h"

namespace egret::cloud::fhir {

class ExportFiles {
 public:
  struct File {
    std::string type, name;  // Observation, Observation.1.ndjson
    uint64_t lines = 0, bytes = 0;
  };
  // The folder is there.
  ExportFiles(std::filesystem::path folder, uint64_t file_bytes, uint64_t free_bytes)
      : folder_(std::move(folder)), file_bytes_(file_bytes), free_bytes_(free_bytes) {}
  ~ExportFiles();
  ExportFiles(const ExportFiles&) = delete;
  ExportFiles& operator=(const ExportFiles&) = delete;

  // Resources of one type come one after the other. Errors: disk_full, store_failed.
  Result<void> add(std::string_view type, const Json& resource);
  // What is buffered, on the disk; the last call. Errors: the same.
  Result<void> end();
  const std::vector<File>& files() const { return files_; }

 private:
  Result<void> open(std::string_view type);
  Result<void> flush();

  const std::filesystem::path folder_;
  const uint64_t file_bytes_, free_bytes_;
  std::vector<File> files_;  // the last one is written
  size_t of_type_ = 0;       // files of the last one's type
  std::string buffer_;
  int fd_ = -1;
};

}  // namespace egret::cloud::fhir
