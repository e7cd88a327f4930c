// Api: what the HTTP door answers: records, telemetry and documents in, status out.
// Promises: an outcome per record; 2xx only after the sync; an error names code, field, limit and what to do, and
// never holds a value of a patient.
// Leaves to others: bytes on the socket (http.h), what a record may hold (schemas/record), durability (Writer).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>

#include "agent/doors/http.h"
#include "edge/buffer.h"

namespace egret::agent {

// What the door needs of the daemon. All of it on the daemon's thread.
struct ApiHost {
  Facility facility;
  // How this copy came in: an encoded Arrival for a request with this Idempotency-Key.
  std::function<Bytes(const std::string& idempotency_key)> arrival;
  // Is there room in this lane now? Errors: lane_full, disk_full, store_failed.
  std::function<Result<void>(StreamId)> admit;
  // Synced when it returns ok. Errors: store_failed, disk_full.
  std::function<boost::asio::awaitable<Result<void>>(edge::Unit)> append;
  std::function<void(uint64_t records)> count_refused;
  std::function<std::string()> status;   // JSON
  std::function<bool()> healthy;
  std::function<boost::asio::awaitable<Result<uint64_t>>()> unpark;
};

class Api {
 public:
  explicit Api(ApiHost host) : host_(std::move(host)) {}
  boost::asio::awaitable<HttpResponse> answer(HttpRequest request);

 private:
  boost::asio::awaitable<HttpResponse> records(HttpRequest request);
  boost::asio::awaitable<HttpResponse> telemetry(HttpRequest request);
  boost::asio::awaitable<HttpResponse> document(HttpRequest request);
  ApiHost host_;
};

}  // namespace egret::agent
