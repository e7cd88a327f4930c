#include "tests/storage/trial.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

namespace egret::test {
namespace {

constexpr size_t kStderrKept = 2000;

[[noreturn]] void live(const std::function<std::string()>& attempt, int out, int err) {
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

// False when the time is up first.
bool read_until_closed(int fd, std::string& text, std::chrono::steady_clock::time_point until) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd wait{fd, POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(left.count())) <= 0) continue;
    char part[4096];
    const ssize_t n = ::read(fd, part, sizeof part);
    if (n <= 0) return true;
    text.append(part, static_cast<size_t>(n));
  }
}

std::string end_of(int fd) {
  const off_t size = ::lseek(fd, 0, SEEK_END);
  const off_t from = std::max<off_t>(0, size - static_cast<off_t>(kStderrKept));
  std::string text(static_cast<size_t>(size - from), '\0');
  const ssize_t n = ::pread(fd, text.data(), text.size(), from);
  text.resize(n < 0 ? 0 : static_cast<size_t>(n));
  return text;
}

}  // namespace

Ended in_own_process(const std::function<std::string()>& attempt, std::chrono::seconds limit) {
  if (std::getenv("EGRET_TRIAL_HERE") != nullptr)
    return {Ended::How::said, attempt()};  // for a debugger
  int out[2];
  const int err = ::memfd_create("stderr", MFD_CLOEXEC);
  if (err < 0 || ::pipe2(out, O_CLOEXEC) != 0)
    return {Ended::How::crashed, "no pipe for the attempt"};
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) live(attempt, out[1], err);
  ::close(out[1]);
  Ended ended;
  const bool in_time =
      read_until_closed(out[0], ended.text, std::chrono::steady_clock::now() + limit);
  if (!in_time) ::kill(pid, SIGKILL);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (!in_time) ended = {Ended::How::hung, "no end within its time\n" + end_of(err)};
  if (in_time && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
    const std::string how = WIFSIGNALED(status) ? ::strsignal(WTERMSIG(status)) : "exit";
    ended = {Ended::How::crashed, how + "\n" + end_of(err)};
  }
  ::close(out[0]);
  ::close(err);
  return ended;
}

}  // namespace egret::test
