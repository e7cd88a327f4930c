// Trial: one attempt in a process of its own: damaged files may crash a library or send it round in
// circles, and neither may end the test. Promises: the attempt's text, or how it ended instead,
// with the last it said on stderr; no process outlives the call; a busy machine makes none fail. Leaves to others: never to open
// RocksDB in the process that calls (its threads do not survive fork).
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace egret::test {

struct Ended {
  enum class How : uint8_t { said, crashed, hung } how = How::said;
  std::string
      text;  // what the attempt returned; of the others: the signal, and the end of its stderr
};

// `processor`: its time, all threads together; of wall time it gets fifteen times as much.
Ended in_own_process(const std::function<std::string()>& attempt, std::chrono::seconds processor);

}  // namespace egret::test
