// What an Api asks of its daemon, answered plainly: everything is admitted, all is well.
// Promises: all of ApiHost but `append`. Leaves to others: where records go.
#pragma once

#include "agent/doors/api.h"
#include "schemas/record.h"
#include "schemas/record.pb.h"

namespace egret::agent {

inline ApiHost plain_host(const Facility& fac) {
  ApiHost host;
  host.facility = fac;
  host.arrival = [](const std::string& key) {
    v1::Arrival arrival;
    arrival.set_wall_us(1);
    arrival.set_src_msg_id(key);
    return encode_arrival(arrival).value();
  };
  host.admit = [](StreamId, size_t) { return Result<void>(); };
  host.count_refused = [](uint64_t) {};
  host.why_refused = [](const char*, const std::string&) {};
  host.support = [] { return std::string("{}"); };
  host.status = [] { return std::string("{}"); };
  host.metrics = [] { return std::string("egret_agent_linked 1\n"); };
  host.healthy = [] { return true; };
  host.unpark = []() -> boost::asio::awaitable<Result<uint64_t>> { co_return Result<uint64_t>(0); };
  return host;
}

}  // namespace egret::agent
