// Mosquitto: a real broker of a test's own, on a free loopback port, in a directory of its own.
// Promises: ready when start() returns; killed and its files gone when the object goes.
// Leaves to others: what is said to it.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>

namespace egret::test {

inline sockaddr_in loopback(uint16_t port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons(port);
  return at;
}

// A port that was free a moment ago.
inline uint16_t free_port() {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at = loopback(0);
  socklen_t size = sizeof(at);
  if (bind(fd, reinterpret_cast<sockaddr*>(&at), size) != 0)
    throw std::runtime_error("no free port");
  getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
  close(fd);
  return ntohs(at.sin_port);
}

// A directory that goes with the object.
class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "egret-test-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("no temporary directory");
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline void run_quietly(const std::string& command) {
  if (std::system((command + " >/dev/null 2>&1").c_str()) != 0)
    throw std::runtime_error("failed: " + command);
}

class Mosquitto {
 public:
  // `settings`: lines for its configuration; without a password file everybody is let in.
  explicit Mosquitto(std::string settings = "allow_anonymous true\n")
      : port_(free_port()), settings_(std::move(settings)) {
    for (int tries = 1;; port_ = free_port(), ++tries) {
      try {
        start();
        return;
      } catch (const std::runtime_error&) {
        if (tries == 3 || log().find("Address already in use") == std::string::npos) throw;
      }
    }
  }
  ~Mosquitto() { kill(); }
  Mosquitto(const Mosquitto&) = delete;
  Mosquitto& operator=(const Mosquitto&) = delete;

  static void add_password(const std::filesystem::path& file, const std::string& user,
                           const std::string& password) {
    bool fresh = !std::filesystem::exists(file);
    run_quietly(std::string("mosquitto_passwd ") + (fresh ? "-c " : "") + "-b " + file.string() +
                " " + user + " " + password);
  }

  void start() {
    std::ofstream(dir_ / "mosquitto.conf") << "user root\nlistener " << port_ << " 127.0.0.1\n"
                                           << settings_;
    const size_t told = log().size();
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      int log = open((dir_ / "log").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
      dup2(log, 1);
      dup2(log, 2);
      std::string config = dir_ / "mosquitto.conf";
      execlp("mosquitto", "mosquitto", "-c", config.c_str(), "-v", nullptr);
      execl("/usr/sbin/mosquitto", "mosquitto", "-c", config.c_str(), "-v", nullptr);
      _exit(127);
    }
    // Its own word: at the port another's broker may answer, whose test drew the same number.
    for (int i = 0; i < 1000; ++i) {
      if (log().find(" running", told) != std::string::npos) return;
      if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
        pid_ = -1;
        throw std::runtime_error("mosquitto ended at once: " + log());
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    throw std::runtime_error("mosquitto is not there after ten seconds: " + log());
  }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  uint16_t port() const { return port_; }
  std::string url(const char* scheme = "mqtt") const {
    return std::string(scheme) + "://127.0.0.1:" + std::to_string(port_);
  }
  std::string log() const {
    std::ifstream in(dir_ / "log");
    return {std::istreambuf_iterator<char>(in), {}};
  }

 private:
  TempDir dir_;
  uint16_t port_;
  std::string settings_;
  pid_t pid_ = -1;
};

// An authority, a broker's certificate for 127.0.0.1, and client certificates, made on the spot.
class Certificates {
 public:
  Certificates() {
    run_quietly("openssl ecparam -name prime256v1 -genkey -noout -out " + at("ca.key"));
    run_quietly("openssl req -x509 -new -key " + at("ca.key") +
                " -subj /CN=test-authority -days 2 -out " + at("ca.pem"));
    std::ofstream(dir_ / "san") << "subjectAltName=IP:127.0.0.1\n";
    sign("broker", "-extfile " + at("san"));
  }
  // NAME.pem and NAME.key, subject CN=NAME.
  void sign(const std::string& name, const std::string& more = "") {
    run_quietly("openssl ecparam -name prime256v1 -genkey -noout -out " + at(name + ".key"));
    run_quietly("openssl req -new -key " + at(name + ".key") + " -subj /CN=" + name + " -out " +
                at(name + ".csr"));
    run_quietly("openssl x509 -req -in " + at(name + ".csr") + " -CA " + at("ca.pem") + " -CAkey " +
                at("ca.key") + " -CAcreateserial -days 2 " + more + " -out " + at(name + ".pem"));
  }
  std::string at(const std::string& name) const { return (dir_ / name).string(); }
  std::string broker_settings() const {
    return "cafile " + at("ca.pem") + "\ncertfile " + at("broker.pem") + "\nkeyfile " +
           at("broker.key") + "\nrequire_certificate true\nuse_identity_as_username true\n";
  }

 private:
  TempDir dir_;
};

}  // namespace egret::test
