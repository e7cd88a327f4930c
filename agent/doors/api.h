// Api: what the HTTP door answers: records, telemetry and documents in, status out (README.md
// beside this).
// Promises: an outcome per record, with the place an accepted one was given; 2xx only after the
// sync; an error names code, field, limit and what to do, and never holds a value of a patient.
// Leaves to others: bytes on the socket (http.h), repeats (answers.h), what a record may hold
// (schemas/record), durability (Writer).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>

#include "agent/doors/answers.h"
#include "agent/doors/http.h"
#include "edge/buffer.h"

namespace egret::agent {

// What the door needs of the daemon. All of it on the daemon's thread.
struct ApiHost {
  Facility facility;
  // How this copy came in: an encoded Arrival for a request with this Idempotency-Key.
  std::function<Bytes(const std::string& idempotency_key)> arrival;
  // Is there room in this lane for so much now? Errors: lane_full, disk_full, store_failed.
  std::function<Result<void>(StreamId, size_t bytes)> admit;
  // A place for each record, when all are synced. Errors: store_failed, disk_full.
  std::function<boost::asio::awaitable<Result<edge::Places>>(edge::Unit)> append;
  std::function<void(uint64_t records)> count_refused;
  // Once for each record that is refused: its code and field.
  std::function<void(const char* code, const std::string& field)> why_refused;
  std::function<std::string()> status;   // JSON
  std::function<std::string()> support;  // JSON: agent/support.h
  std::function<std::string()> metrics;  // Prometheus' text
  std::function<bool()> healthy;
  std::function<boost::asio::awaitable<Result<uint64_t>>()> unpark;
};

class Api {
 public:
  Api(boost::asio::io_context& io, ApiHost host) : host_(std::move(host)), answers_(io) {}
  boost::asio::awaitable<HttpResponse> answer(HttpRequest request);

 private:
  struct Entry;
  boost::asio::awaitable<HttpResponse> post(HttpRequest request);
  boost::asio::awaitable<HttpResponse> records(HttpRequest request);
  boost::asio::awaitable<HttpResponse> telemetry(HttpRequest request);
  boost::asio::awaitable<HttpResponse> document(HttpRequest request);
  boost::asio::awaitable<HttpResponse> unpark();
  HttpResponse look(const HttpRequest& request) const;
  // Takes in what is good of `entries`, all of it durable together. Each entry has a place
  // afterwards, or its error.
  boost::asio::awaitable<Result<void>> take_in(std::vector<Entry>& entries,
                                               const std::string& idempotency_key);
  void admit_by_lane(std::vector<Entry>& entries);
  static HttpResponse outcomes(const std::vector<Entry>& entries, bool by_line, bool minimal);
  HttpResponse refuse_whole(const Error& error);
  void note_refusal(const Error& error) const;

  ApiHost host_;
  Answers answers_;
};

}  // namespace egret::agent
