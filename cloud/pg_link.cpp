#include "cloud/pg_link.h"

#include <poll.h>
#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <limits>

#include "schemas/kv.h"

namespace egret::cloud {
namespace {

constexpr Oid kBytea = 17, kByteaArray = 1001;

int64_t mono_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string one_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  for (char& c : text) {
    if (c == '\n' || c == '\t') c = ' ';
  }
  return text;
}

// What a SQLSTATE means for whoever wanted the statement. A key that is there after all was written meanwhile.
Errc code_of(std::string_view state) {
  if (state == "40001" || state == "40P01" || state == "23505") return Errc::conflict;
  if (state == "53100") return Errc::disk_full;
  if (state.starts_with("XX001") || state.starts_with("XX002")) return Errc::corrupt;
  if (state.starts_with("28") || state.starts_with("3D") || state.starts_with("42")) return Errc::config;
  return Errc::store_failed;
}

// The main message alone: details and context may quote a row.
PgError error_of(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  PgError out{state ? state : "", {}};
  out.error = {code_of(out.state), fmt::format("postgres: {} ({})", text ? one_line(text) : "no reason given", out.state)};
  return out;
}

// Only where the address does not say otherwise: a peer that vanished is to be noticed.
void add_default(std::vector<const char*>& keys, std::vector<const char*>& values, PQconninfoOption* given, const char* key, const char* value) {
  for (PQconninfoOption* o = given; o->keyword != nullptr; ++o) {
    if (std::string_view(o->keyword) == key && o->val != nullptr && *o->val != 0) return;
  }
  keys.push_back(key);
  values.push_back(value);
}

// A message beside the answers: after COMMIT it may mean that a standby does not have it.
void note_warning(void* warned, const PGresult* result) {
  const char* severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (severity != nullptr && std::string_view(severity) == "WARNING") *static_cast<bool*>(warned) = true;
}

}  // namespace

PgParams& PgParams::bytes(ByteView value) {
  values_.emplace_back(value);
  types_.push_back(kBytea);
  return *this;
}

// The binary form of a one-dimensional array: dimensions, has-null flag, element type, length, first index, elements.
PgParams& PgParams::each(std::span<const ByteView> values) {
  size_t bytes = 20;
  for (ByteView v : values) bytes += v.size() + 4;
  Bytes out;
  out.reserve(bytes);
  put_u32(out, values.empty() ? 0 : 1);
  put_u32(out, 0);
  put_u32(out, kBytea);
  if (!values.empty()) {
    put_u32(out, static_cast<uint32_t>(values.size()));
    put_u32(out, 1);
  }
  for (ByteView v : values) {
    put_u32(out, static_cast<uint32_t>(v.size()));
    out.append(v);
  }
  values_.push_back(std::move(out));
  types_.push_back(kByteaArray);
  return *this;
}

ByteView PgRows::at(size_t row, size_t column) const {
  const int r = static_cast<int>(row), c = static_cast<int>(column);
  return {PQgetvalue(result_.get(), r, c), static_cast<size_t>(PQgetlength(result_.get(), r, c))};
}

Result<std::unique_ptr<PgLink>> PgLink::connect(const PgOptions& options) {
  char* why = nullptr;
  std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> given(PQconninfoParse(options.url.c_str(), &why), PQconninfoFree);
  if (!given) {
    Error error{Errc::config, "store.url: " + one_line(why ? why : "cannot be read")};
    PQfreemem(why);
    return error;
  }
  const std::string patience = std::to_string(std::max<int64_t>(2, options.patience_ms / 1000));
  std::vector<const char*> keys{"dbname"}, values{options.url.c_str()};
  if (!options.password.empty()) {
    keys.push_back("password");
    values.push_back(options.password.c_str());
  }
  add_default(keys, values, given.get(), "connect_timeout", patience.c_str());
  add_default(keys, values, given.get(), "keepalives_idle", "10");
  add_default(keys, values, given.get(), "application_name", "egret-cloud");
  keys.push_back(nullptr);
  values.push_back(nullptr);
  PGconn* conn = PQconnectdbParams(keys.data(), values.data(), 1);
  auto link = std::unique_ptr<PgLink>(new PgLink(conn, options.patience_ms));
  if (PQstatus(conn) != CONNECTION_OK) return Error{Errc::store_failed, "postgres: " + one_line(PQerrorMessage(conn))};
  PQsetNoticeReceiver(conn, note_warning, &link->warned_);
  PQsetErrorVerbosity(conn, PQERRORS_TERSE);
  if (PQsetnonblocking(conn, 1) != 0) return Error{Errc::store_failed, "postgres: the connection cannot be driven without blocking"};
  return link;
}

PgLink::PgLink(PGconn* conn, int64_t patience_ms) : conn_(conn, PQfinish), patience_ms_(patience_ms) {}

void PgLink::add(const char* sql, PgParams params) { queue_.push_back({sql, std::move(params)}); }

PgError PgLink::gone() {
  lost_ = true;
  return {"", {Errc::store_failed, "postgres: the connection is lost: " + one_line(PQerrorMessage(conn_.get()))}};
}

bool PgLink::send_all() {
  if (PQpipelineStatus(conn_.get()) == PQ_PIPELINE_OFF && PQenterPipelineMode(conn_.get()) != 1) return false;
  for (const Statement& s : queue_) {
    std::vector<const char*> values;
    std::vector<int> lengths, formats;
    for (const Bytes& v : s.params.values_) {
      if (v.size() > std::numeric_limits<int>::max()) return false;
      values.push_back(v.data());
      lengths.push_back(static_cast<int>(v.size()));
      formats.push_back(1);
    }
    if (PQsendQueryParams(conn_.get(), s.sql.c_str(), static_cast<int>(values.size()), s.params.types_.data(), values.data(),
                          lengths.data(), formats.data(), 1) != 1)
      return false;
  }
  return PQpipelineSync(conn_.get()) == 1;
}

// Sends on while it waits: the server may answer before it has read everything. False: lost.
bool PgLink::wait_for_answer() {
  const int64_t until = mono_ms() + patience_ms_;
  for (;;) {
    const int left = PQflush(conn_.get());
    if (left < 0) return false;
    if (left == 0 && PQisBusy(conn_.get()) == 0) return true;
    pollfd waited{PQsocket(conn_.get()), static_cast<short>(left > 0 ? POLLIN | POLLOUT : POLLIN), 0};
    const int64_t rest = until - mono_ms();
    if (rest <= 0 || poll(&waited, 1, static_cast<int>(rest)) == 0) return false;
    if ((waited.revents & (POLLIN | POLLERR | POLLHUP)) != 0 && PQconsumeInput(conn_.get()) != 1) return false;
  }
}

// Answers up to the sync that ends them. Between two statements libpq says null once.
PgReply PgLink::collect() {
  PgReply out;
  for (;;) {
    if (!wait_for_answer()) {
      if (!out.failed) out.failed = gone();
      lost_ = true;
      return out;
    }
    PGresult* result = PQgetResult(conn_.get());
    if (result == nullptr) {
      if (PQstatus(conn_.get()) == CONNECTION_OK) continue;
      if (!out.failed) out.failed = gone();
      lost_ = true;
      return out;
    }
    PgRows rows(result);
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_PIPELINE_SYNC) return out;
    if (status == PGRES_PIPELINE_ABORTED) continue;
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
      out.rows.push_back(std::move(rows));
    } else if (!out.failed) {
      out.failed = error_of(result);
    }
  }
}

PgReply PgLink::run() {
  PgReply out;
  warned_ = false;
  if (lost_ || !send_all()) {
    out.failed = gone();
  } else {
    out = collect();
  }
  queue_.clear();
  out.warned = warned_;
  return out;
}

Result<PgRows> PgLink::ask(const char* sql, PgParams params) {
  add(sql, std::move(params));
  PgReply reply = run();
  if (reply.failed) return std::move(reply.failed->error);
  if (reply.rows.size() != 1) return Error{Errc::store_failed, "postgres: no answer came for a statement"};
  return std::move(reply.rows.front());
}

Result<void> PgLink::script(const std::string& sql) {
  if (lost_ || (PQpipelineStatus(conn_.get()) != PQ_PIPELINE_OFF && PQexitPipelineMode(conn_.get()) != 1)) return gone().error;
  if (PQsendQuery(conn_.get(), sql.c_str()) != 1) return gone().error;
  std::optional<Error> failed;
  for (;;) {
    if (!wait_for_answer()) return gone().error;
    PGresult* result = PQgetResult(conn_.get());
    if (result == nullptr) break;
    const PgRows owned(result);
    const ExecStatusType status = PQresultStatus(result);
    if (!failed && status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) failed = error_of(result).error;
  }
  if (PQstatus(conn_.get()) != CONNECTION_OK) return gone().error;
  if (failed) return std::move(*failed);
  return {};
}

}  // namespace egret::cloud
