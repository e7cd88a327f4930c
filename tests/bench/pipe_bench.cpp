// The ceiling that a drain is held against: file -> zstd -> TCP on loopback -> decompress -> append
// + fdatasync each MiB raw. Nothing of Egret runs here; it prints the seconds it took as JSON.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zstd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr size_t kChunk = 1 << 20;

void must(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  std::exit(74);
}

void send_all(int fd, const char* data, size_t n) {
  while (n > 0) {
    ssize_t sent = ::send(fd, data, n, 0);
    must(sent > 0, "send");
    data += sent;
    n -= static_cast<size_t>(sent);
  }
}

void compress_file_to(const std::string& path, int socket, int level) {
  int in = ::open(path.c_str(), O_RDONLY);
  must(in >= 0, path.c_str());
  std::vector<char> raw(kChunk), packed(ZSTD_compressBound(kChunk));
  ZSTD_CCtx* context = ZSTD_createCCtx();
  for (;;) {
    ssize_t n = ::read(in, raw.data(), raw.size());
    must(n >= 0, "read");
    uint32_t size = 0;
    if (n > 0) {
      size = static_cast<uint32_t>(ZSTD_compressCCtx(context, packed.data(), packed.size(),
                                                     raw.data(), static_cast<size_t>(n), level));
    }
    send_all(socket, reinterpret_cast<const char*>(&size), sizeof size);
    if (n == 0) break;
    send_all(socket, packed.data(), size);
  }
  ZSTD_freeCCtx(context);
  ::close(in);
}

bool receive_all(int fd, char* data, size_t n) {
  while (n > 0) {
    ssize_t got = ::recv(fd, data, n, 0);
    if (got <= 0) return false;
    data += got;
    n -= static_cast<size_t>(got);
  }
  return true;
}

void append_from(int socket, const std::string& path) {
  int out = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
  must(out >= 0, path.c_str());
  std::vector<char> packed(ZSTD_compressBound(kChunk)), raw(kChunk);
  ZSTD_DCtx* context = ZSTD_createDCtx();
  uint32_t size = 0;
  while (receive_all(socket, reinterpret_cast<char*>(&size), sizeof size) && size > 0) {
    must(receive_all(socket, packed.data(), size), "recv");
    size_t n = ZSTD_decompressDCtx(context, raw.data(), raw.size(), packed.data(), size);
    must(::write(out, raw.data(), n) == static_cast<ssize_t>(n), "write");
    must(::fdatasync(out) == 0, "fdatasync");
  }
  ZSTD_freeDCtx(context);
  ::close(out);
}

// Seconds from the first byte read to the last one synced.
double run(const std::string& source, int level) {
  int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  must(::bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0, "bind");
  must(::listen(listener, 1) == 0, "listen");
  must(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0, "getsockname");

  auto begun = std::chrono::steady_clock::now();
  std::thread receiver([&] {
    int socket = ::accept(listener, nullptr, nullptr);
    must(socket >= 0, "accept");
    append_from(socket, source + ".out");
    ::close(socket);
  });
  int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  must(::connect(socket, reinterpret_cast<sockaddr*>(&address), length) == 0, "connect");
  compress_file_to(source, socket, level);
  ::shutdown(socket, SHUT_WR);
  receiver.join();
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  ::close(socket);
  ::close(listener);
  std::remove((source + ".out").c_str());
  return seconds;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: pipe_bench FILE [LEVEL=3]\n");
    return 2;
  }
  int level = argc > 2 ? std::atoi(argv[2]) : 3;
  std::printf("{\"level\":%d,\"seconds\":%.3f}\n", level, run(argv[1], level));
}
