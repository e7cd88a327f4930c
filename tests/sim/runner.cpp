#include "tests/sim/runner.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <vector>

#include "tests/sim/world.h"

// There in a build of the preset `coverage` alone: _exit would leave out what this process has counted.
extern "C" [[gnu::weak]] int __llvm_profile_write_file();

namespace egret::sim {
namespace {

using Clock = std::chrono::steady_clock;

struct Head {
  uint64_t seed = 0;
  uint64_t hash = 0;
  Tally tally;
  uint32_t violation_bytes = 0;
  uint32_t lines_bytes = 0;
};

struct Worker {
  pid_t pid = 0;
  int in = -1;
  uint64_t next = 0;  // the seed it is at
  std::string buffer;
  bool open = true;
};

void write_all(int fd, const void* data, size_t n) {
  const char* at = static_cast<const char*>(data);
  while (n > 0) {
    const ssize_t wrote = ::write(fd, at, n);
    if (wrote <= 0) _exit(2);
    at += wrote;
    n -= static_cast<size_t>(wrote);
  }
}

[[noreturn]] void work(const RunOrder& order, unsigned index, int out) {
  if (order.quiet) {
    const int null = ::open("/dev/null", O_WRONLY);
    ::dup2(null, STDERR_FILENO);
  }
  const auto begun = Clock::now();
  for (uint64_t seed = order.from + index; seed < order.from + order.seeds; seed += order.jobs) {
    if (order.minutes > 0 && Clock::now() - begun > std::chrono::duration<double>(order.minutes * 60)) break;
    World world(draw_plan(seed, order.hours), false);
    world.run();
    const Journal& journal = world.journal();
    std::string lines;
    if (journal.failed()) {
      for (const std::string& line : journal.last_lines()) lines += line + "\n";
    }
    const Head head{seed, journal.hash(), journal.tally, static_cast<uint32_t>(journal.violation().size()),
                    static_cast<uint32_t>(lines.size())};
    write_all(out, &head, sizeof(head));
    write_all(out, journal.violation().data(), journal.violation().size());
    write_all(out, lines.data(), lines.size());
    if (journal.failed()) break;
  }
  if (__llvm_profile_write_file != nullptr) __llvm_profile_write_file();
  _exit(0);
}

Worker start(const RunOrder& order, unsigned index) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("egret-sim: no pipe");
  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error("egret-sim: no fork");
  if (pid == 0) {
    ::close(ends[0]);
    work(order, index, ends[1]);
  }
  ::close(ends[1]);
  return {pid, ends[0], order.from + index, {}, true};
}

void fail(RunResult& result, uint64_t seed, std::string violation, std::string lines) {
  if (result.failed_seed != 0 && result.failed_seed < seed) return;
  result.failed_seed = seed;
  result.violation = std::move(violation);
  result.last_lines = std::move(lines);
}

void take_results(Worker& worker, const RunOrder& order, RunResult& result, const Progress& progress) {
  Head head;
  while (worker.buffer.size() >= sizeof(head)) {
    std::memcpy(&head, worker.buffer.data(), sizeof(head));
    const size_t all = sizeof(head) + head.violation_bytes + head.lines_bytes;
    if (worker.buffer.size() < all) return;
    if (head.violation_bytes > 0) {
      fail(result, head.seed, worker.buffer.substr(sizeof(head), head.violation_bytes),
           worker.buffer.substr(sizeof(head) + head.violation_bytes, head.lines_bytes));
    }
    result.done++;
    result.tally.add(head.tally);
    result.hash += head.hash * (2 * head.seed + 1);  // in whatever order they come
    worker.buffer.erase(0, all);
    worker.next = head.seed + order.jobs;
    progress(result.done);
  }
}

void read_from(Worker& worker, const RunOrder& order, RunResult& result, const Progress& progress) {
  char chunk[65536];
  const ssize_t n = ::read(worker.in, chunk, sizeof(chunk));
  if (n > 0) {
    worker.buffer.append(chunk, static_cast<size_t>(n));
    return take_results(worker, order, result, progress);
  }
  worker.open = false;
  ::close(worker.in);
  int status = 0;
  rusage used{};
  ::wait4(worker.pid, &status, 0, &used);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  result.cpu_s += seconds(used.ru_utime) + seconds(used.ru_stime);
  if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
    fail(result, worker.next, "the program: an invariant of its own was broken, it ended by signal " +
                                  std::to_string(WTERMSIG(status)), "");
  }
}

}  // namespace

RunResult run_seeds(const RunOrder& order, const Progress& progress) {
#ifdef EGRET_MUTANTS
  planted_mutant = order.mutant;
#endif
  RunResult result;
  std::vector<Worker> workers;
  for (unsigned i = 0; i < order.jobs && i < order.seeds; i++) workers.push_back(start(order, i));
  for (;;) {
    std::vector<pollfd> polls;
    std::vector<Worker*> who;
    for (Worker& w : workers) {
      // A seed has failed: only smaller ones still matter.
      if (w.open && result.failed_seed != 0 && w.next > result.failed_seed) ::kill(w.pid, SIGKILL);
      if (!w.open) continue;
      polls.push_back({w.in, POLLIN, 0});
      who.push_back(&w);
    }
    if (polls.empty()) return result;
    ::poll(polls.data(), polls.size(), -1);
    for (size_t i = 0; i < polls.size(); i++) {
      if (polls[i].revents != 0) read_from(*who[i], order, result, progress);
    }
  }
}

}  // namespace egret::sim
