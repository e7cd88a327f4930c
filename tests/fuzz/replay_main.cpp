// fuzz-replay: all entries without libFuzzer: runs inputs that are files, and writes what each
// entry begins with.
//
//   fuzz-replay --list               names of the entries
//   fuzz-replay --seeds FOLDER       writes FOLDER/NAME/own-NNNN for each entry
//   fuzz-replay K/N FOLDER...        runs each N-th of FOLDER/NAME/* of each entry, beginning with
//   the K-th (0/1: all); says
//                                    which file broke it
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "schemas/log.h"
#include "tests/fuzz/fuzz.h"

namespace egret::fuzz {
namespace {

namespace fs = std::filesystem;

char running[1024];  // for the signal handler

extern "C" void say_which(int signal) {
  (void)!::write(STDERR_FILENO, running, std::strlen(running));
  (void)!::write(STDERR_FILENO, "\n", 1);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

int write_seeds(const fs::path& folder) {
  for (const Entry& entry : entries()) {
    fs::create_directories(folder / entry.name);
    size_t n = 0;
    for (const Bytes& seed : entry.seeds()) {
      char name[32];
      std::snprintf(name, sizeof name, "own-%04zu", n++);
      std::ofstream(folder / entry.name / name, std::ios::binary) << seed;
    }
  }
  return 0;
}

struct Part {
  size_t first = 0, of = 1;
};

size_t run_folder(const Entry& entry, const fs::path& folder, Part part) {
  if (!fs::is_directory(folder)) return 0;
  std::vector<fs::path> files;
  for (const auto& file : fs::directory_iterator(folder)) files.push_back(file.path());
  std::sort(files.begin(), files.end());
  size_t inputs = 0;
  for (size_t i = part.first; i < files.size(); i += part.of, inputs++) {
    std::snprintf(running, sizeof running, "broken by: %s_fuzz %s", entry.name, files[i].c_str());
    std::ifstream in(files[i], std::ios::binary);
    entry.run(Bytes(std::istreambuf_iterator<char>(in), {}));
  }
  return inputs;
}

int run(Part part, const std::vector<fs::path>& folders) {
  for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(signal, say_which);
  for (const Entry& entry : entries()) {
    size_t inputs = 0;
    for (const fs::path& folder : folders) inputs += run_folder(entry, folder / entry.name, part);
    std::printf("%s %zu\n", entry.name, inputs);
    std::fflush(stdout);
  }
  return 0;
}

int main_of(const std::vector<std::string>& args) {
  std::sort(entries().begin(), entries().end(),
            [](const Entry& a, const Entry& b) { return std::strcmp(a.name, b.name) < 0; });
  if (args == std::vector<std::string>{"--list"}) {
    for (const Entry& entry : entries()) std::printf("%s\n", entry.name);
    return 0;
  }
  if (args.size() == 2 && args[0] == "--seeds") return write_seeds(args[1]);
  Part part;
  if (args.size() < 2 || std::sscanf(args[0].c_str(), "%zu/%zu", &part.first, &part.of) != 2 ||
      part.of == 0) {
    std::fprintf(stderr, "fuzz-replay --list | --seeds FOLDER | K/N FOLDER...\n");
    return 2;
  }
  return run(part, {args.begin() + 1, args.end()});
}

}  // namespace
}  // namespace egret::fuzz

int main(int argc, char** argv) {
  egret::set_log_level(egret::LogLevel::off);  // stdout is what run.py reads
  return egret::fuzz::main_of({argv + 1, argv + argc});
}
