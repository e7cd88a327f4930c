#include "tests/storage/trial.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>
#include <sstream>

namespace egret::test {
namespace {

constexpr size_t kStderrKept = 2000;
// Of wall time, for one that waits for ever. A machine with much else to do has made trials of a tenth of a second last a
// minute.
constexpr int kWallOfProcessor = 15;

[[noreturn]] void live(const std::function<std::string()>& attempt, std::chrono::seconds processor, int out, int err) {
  const rlimit limit{static_cast<rlim_t>(processor.count()), RLIM_INFINITY};
  ::setrlimit(RLIMIT_CPU, &limit);
  for (int signal : {SIGSEGV, SIGABRT, SIGFPE, SIGILL, SIGTERM})
    ::signal(signal, SIG_DFL);  // Catch reports them as its own
  ::dup2(err, STDERR_FILENO);
  ::dup2(err, STDOUT_FILENO);
  std::string text;
  try {
    text = attempt();
  } catch (const std::exception& e) {
    text = std::string("WRONG: thrown: ") + e.what();
  }
  for (size_t at = 0; at < text.size();) {
    const ssize_t n = ::write(out, text.data() + at, text.size() - at);
    if (n <= 0) ::_exit(1);
    at += static_cast<size_t>(n);
  }
  ::_exit(0);
}

// False when the time is up first. Not by the end of a pipe: trials that run beside it inherit that.
bool ends_within(pid_t pid, std::chrono::milliseconds limit) {
  const int process = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  pollfd wait{process, POLLIN, 0};
  int ready = -1;
  do {
    ready = ::poll(&wait, 1, static_cast<int>(limit.count()));
  } while (ready < 0 && errno == EINTR);
  ::close(process);
  return ready > 0;
}

std::string all_of(int fd) {
  std::string text(static_cast<size_t>(::lseek(fd, 0, SEEK_END)), '\0');
  const ssize_t n = ::pread(fd, text.data(), text.size(), 0);
  text.resize(n < 0 ? 0 : static_cast<size_t>(n));
  return text;
}

std::string end_of(int fd) {
  const std::string text = all_of(fd);
  return text.substr(text.size() - std::min(text.size(), kStderrKept));
}

// Whether it waits for something or was not let run: what /proc says of it.
std::string how_it_stands(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::istringstream rest(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  std::string state, word, user, system;
  rest >> state;
  for (int field = 4; field < 14; ++field) rest >> word;
  rest >> user >> system;
  return "state " + state + ", clock ticks of processor " + user + " + " + system;
}

}  // namespace

Ended in_own_process(const std::function<std::string()>& attempt, std::chrono::seconds processor) {
  if (std::getenv("EGRET_TRIAL_HERE") != nullptr)
    return {Ended::How::said, attempt()};  // for a debugger
  const int out = ::memfd_create("answer", MFD_CLOEXEC);
  const int err = ::memfd_create("stderr", MFD_CLOEXEC);
  if (out < 0 || err < 0) return {Ended::How::crashed, "no memory for the attempt's answer"};
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) live(attempt, processor, out, err);
  const bool in_time = ends_within(pid, processor * kWallOfProcessor);
  const std::string stands = in_time ? "" : how_it_stands(pid);
  if (!in_time) ::kill(pid, SIGKILL);
  int status = 0;
  ::waitpid(pid, &status, 0);
  Ended ended{Ended::How::said, all_of(out)};
  if (!in_time) ended = {Ended::How::hung, "it waits for ever: " + stands + "\n" + end_of(err)};
  const bool loops = WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU;
  if (in_time && loops) ended = {Ended::How::hung, "it goes round in circles\n" + end_of(err)};
  if (in_time && !loops && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
    const std::string how = WIFSIGNALED(status) ? ::strsignal(WTERMSIG(status)) : "exit";
    ended = {Ended::How::crashed, how + "\n" + end_of(err)};
  }
  ::close(out);
  ::close(err);
  return ended;
}

}  // namespace egret::test
