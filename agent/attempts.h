// Attempts: how often something that may end the program was begun and has not come to its end: a count on the disk, for a
// program that crashes takes every other count with it.
// Promises: what has crashed kAttemptsMax times is not begun again; an end, good or bad, begins the count anew.
// Leaves to others: what to do instead.
#pragma once

#include <filesystem>

namespace egret::agent {

inline constexpr int kAttemptsMax = 5;  // a power cut or a kill -9 in their midst counts too

class Attempts {
 public:
  explicit Attempts(std::filesystem::path file) : file_(std::move(file)) {}
  // False: it has been begun too often. A disk that takes no count lets it begin.
  bool begin();
  void ended();

 private:
  std::filesystem::path file_;
};

}  // namespace egret::agent
