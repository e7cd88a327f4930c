// Postgres: a PostgreSQL cluster of a test program's own (tests/e2e/postgres.py), and databases in it.
// Promises: ready when the first database is asked for; gone with this process, however that ends.
// Leaves to others: what is in the databases.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "cloud/pg_link.h"

namespace egret::test {

class Postgres {
 public:
  // The one that all tests of a program share.
  static Postgres& shared() {
    static Postgres cluster;
    return cluster;
  }
  Postgres() {
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    pid_ = fork();
    if (pid_ == 0) {
      dup2(in[0], 0);
      dup2(out[1], 1);
      execlp("python3", "python3", EGRET_SOURCE_DIR "/tests/e2e/postgres.py", nullptr);
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    to_ = in[1];
    from_ = fdopen(out[0], "r");
    dir_ = line();
    if (dir_.empty()) throw std::runtime_error("no PostgreSQL cluster: see tests/e2e/postgres.py");
  }
  ~Postgres() {
    close(to_);
    waitpid(pid_, nullptr, 0);
    fclose(from_);
  }
  Postgres(const Postgres&) = delete;
  Postgres& operator=(const Postgres&) = delete;

  void kill() { say("kill"); }
  void start() { say("start"); }
  // Through a PgBouncer that gives out connections a transaction.
  cloud::PgOptions pooled(const std::string& database) {
    if (!std::exchange(has_pool_, true)) say("pool");
    return options(database, "&port=6432");
  }
  // For the server that is started next; an empty value takes it back.
  void set(const std::string& name, const std::string& value) { say("set " + name + " " + value); }
  cloud::PgOptions options(const std::string& database = "postgres", const std::string& more = "") const {
    return {"postgresql:///" + database + "?host=" + dir_ + "&user=egret" + more, "", 30'000};
  }
  void sql(const std::string& text, const std::string& database = "postgres") {
    auto link = cloud::PgLink::connect(options(database)).value();
    if (auto done = link->script(text); !done) throw std::runtime_error(done.error().text);
  }
  // A new one, empty; `how` as CREATE DATABASE takes it.
  std::string database(const std::string& how = "") {
    const std::string name = "t" + std::to_string(++made_);
    sql("CREATE DATABASE " + name + " " + how);
    return name;
  }

 private:
  std::string line() {
    char text[512];
    if (fgets(text, sizeof(text), from_) == nullptr) return "";
    std::string out = text;
    while (!out.empty() && out.back() == '\n') out.pop_back();
    return out;
  }
  void say(const std::string& word) {
    const std::string text = word + "\n";
    if (::write(to_, text.data(), text.size()) < 0 || line() != "ok") throw std::runtime_error("the cluster does not obey: " + word);
  }

  pid_t pid_ = 0;
  int to_ = -1;
  FILE* from_ = nullptr;
  std::string dir_;
  int made_ = 0;
  bool has_pool_ = false;
};

}  // namespace egret::test
