// PgLink: one connection to PostgreSQL: statements are queued, sent together, answered in order.
// Promises: no state of a session is left behind (unnamed statements, parameters in binary form), so a pooler that
// hands out a connection a transaction is fine; a server that does not answer in time is a lost one; no text of an
// error holds a parameter's value. Leaves to others: what is said (kv_pg), when to connect anew; one thread at a time.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "schemas/error.h"
#include "schemas/types.h"

namespace egret::cloud {

struct PgOptions {
  std::string url;              // as libpq takes it: postgresql://user@host:port/database?sslmode=...
  std::string password;         // empty: none, or as libpq finds it
  int64_t patience_ms = 30'000;  // for one answer, and for connecting
};

// The parameters of one statement: values of type bytea, or arrays of them.
class PgParams {
 public:
  PgParams& bytes(ByteView value);
  PgParams& each(std::span<const ByteView> values);
  size_t size() const { return values_.size(); }

 private:
  friend class PgLink;
  std::vector<Bytes> values_;
  std::vector<Oid> types_;
};

class PgRows {
 public:
  explicit PgRows(PGresult* result = nullptr) : result_(result, PQclear) {}
  size_t size() const { return static_cast<size_t>(PQntuples(result_.get())); }
  // Lives as long as the rows.
  ByteView at(size_t row, size_t column) const;
  // What the server says it has done: INSERT 0 5, COMMIT.
  ByteView done() const { return PQcmdStatus(result_.get()); }

 private:
  std::unique_ptr<PGresult, decltype(&PQclear)> result_;
};

struct PgError {
  std::string state;  // SQLSTATE, 5 letters; empty: the connection is gone
  Error error;        // conflict: worth another try
};
struct PgReply {
  std::vector<PgRows> rows;      // one a statement, up to the first that failed
  std::optional<PgError> failed;
  bool warned = false;           // the server said WARNING or worse beside its answers
};

class PgLink {
 public:
  // Errors: config (a name, password or address that the server does not take), store_failed.
  static Result<std::unique_ptr<PgLink>> connect(const PgOptions& options);

  // Queues a statement; `sql` must be one.
  void add(const char* sql, PgParams params = {});
  // Sends what is queued and waits. In it the first failure ends everything up to its end.
  PgReply run();
  // One statement alone.
  Result<PgRows> ask(const char* sql, PgParams params = {});
  // Several statements in one text, without parameters: for the schema.
  Result<void> script(const std::string& sql);
  bool lost() const { return lost_; }

 private:
  struct Statement {
    std::string sql;
    PgParams params;
  };
  PgLink(PGconn* conn, int64_t patience_ms);
  bool send_all();
  bool wait_for_answer();
  PgReply collect();
  PgError gone();

  std::unique_ptr<PGconn, decltype(&PQfinish)> conn_;
  const int64_t patience_ms_;
  std::vector<Statement> queue_;
  bool lost_ = false;
  bool warned_ = false;
};

}  // namespace egret::cloud
