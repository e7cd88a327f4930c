#include <catch2/catch.hpp>

#include "tests/unit/agent/door_rig.h"
#include "tests/unit/schemas/record_samples.h"

namespace egret::agent {
namespace {

using samples::minimal_result;
using std::chrono::milliseconds;

const std::string kTelemetry =
    R"({"time_unit":"s","resource":{"host":"h"},"series":[{"name":"load","unit":"1","kind":"gauge","points":[[1800000000,1]]}]})";

bool begins(const std::string& text, const std::string& with) {
  return text.rfind(with, 0) == 0;
}
bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the metrics are given as Prometheus reads them, to who asks and to nobody who posts") {
  DoorRig rig;
  const std::string said = rig.ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  CHECK(said.starts_with("HTTP/1.1 200"));
  CHECK(said.find("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n") != std::string::npos);
  CHECK(said.ends_with("\r\n\r\negret_agent_linked 1\n"));
  CHECK(rig.ask(http_post("/metrics", "application/json", "{}")).starts_with("HTTP/1.1 405"));
}

TEST_CASE("no answer leaves before the sync, through whichever door", "[door]") {
  DoorRig rig;
  for (const auto& [path, type, body] :
       {std::tuple{"/v1/records", "application/json", minimal_result()},
        std::tuple{"/v1/records", "application/x-ndjson",
                   minimal_result() + "\n{\n" + minimal_result()},
        std::tuple{"/v1/telemetry", "application/json", kTelemetry},
        std::tuple{"/v1/documents", "text/plain", std::string("a letter")}}) {
    INFO(path << " " << type);
    rig.kv.hold();
    uint64_t accepted = rig.buffer->view().counters.accepted;
    Client client = rig.client();
    client.say(http_post(path, type, body));
    rig.kv.wait_for_write();
    CHECK_FALSE(client.answered_within(150));
    CHECK(rig.buffer->view().counters.accepted == accepted);
    rig.kv.let_go();
    std::string answer = client.answer();
    CHECK((begins(answer, "HTTP/1.1 201 ") || begins(answer, "HTTP/1.1 207 ")));
    CHECK(rig.kv.memory.unsynced() == 0);
    CHECK(rig.buffer->view().counters.accepted > accepted);
  }
}

TEST_CASE("a sync that fails is never a 201, not even when the disk took the bytes", "[door]") {
  for (auto how : {KvMemory::Failure::lost, KvMemory::Failure::applied}) {
    DoorRig rig;
    rig.kv.memory.fail_write(1, how);
    for (int again = 0; again < 2;
         ++again) {  // nothing is accepted any more until the store was opened again
      std::string answer = rig.ask(
          http_post("/v1/records", "application/json", minimal_result(), "Idempotency-Key: k\r\n"));
      CHECK(begins(answer, "HTTP/1.1 503 "));
      CHECK(holds(answer, "Retry-After: "));
      CHECK(holds(answer, R"("code":"store_failed")"));
    }
  }
}

TEST_CASE("a full disk is 507", "[door]") {
  DoorRig rig;
  rig.kv.memory.set_capacity(1);
  CHECK(begins(rig.ask(http_post("/v1/records", "application/json", minimal_result())),
               "HTTP/1.1 507 "));
}

TEST_CASE("what does not fit into the writer's queue is 503 at once, and what waits in it is kept",
          "[door]") {
  DoorRig rig;
  rig.kv.hold();
  Client first = rig.client();
  first.say(http_post("/v1/records", "application/json", minimal_result()));
  rig.kv.wait_for_write();
  Client queued = rig.client();
  queued.say(http_post("/v1/documents", "x/y", std::string(kDocumentBytesMax, 'q')));
  CHECK_FALSE(queued.answered_within(300));
  std::string refused =
      rig.ask(http_post("/v1/documents", "x/y", std::string(kDocumentBytesMax, 'r')));
  CHECK(begins(refused, "HTTP/1.1 503 "));
  CHECK(holds(refused, "too much is waiting to be written"));
  CHECK(holds(refused, "Retry-After: "));
  rig.kv.let_go();
  CHECK(begins(first.answer(), "HTTP/1.1 201 "));
  CHECK(begins(queued.answer(), "HTTP/1.1 201 "));
  CHECK(rig.buffer->view().counters.accepted == 1 + 1 + kDocumentPartsMax);
}

TEST_CASE("requests of one group hear the places of their own records", "[door]") {
  DoorRig rig;
  rig.kv.hold();
  Client first = rig.client();
  first.say(http_post("/v1/records", "application/json", minimal_result()));
  rig.kv.wait_for_write();
  Client two = rig.client(), three = rig.client();
  two.say(
      http_post("/v1/records", "application/x-ndjson", minimal_result() + "\n" + minimal_result()));
  CHECK_FALSE(two.answered_within(100));
  three.say(http_post("/v1/documents", "text/plain", "a letter"));
  CHECK_FALSE(three.answered_within(100));
  rig.kv.let_go();
  CHECK(holds(first.answer(), R"("stream":"result","seq":1,)"));
  std::string second = two.answer();
  CHECK(holds(second, R"("seq":2,)"));
  CHECK(holds(second, R"("seq":3,)"));
  std::string third = three.answer();
  CHECK(holds(third, R"("kind":"source_document","epoch":")"));
  CHECK(holds(third, R"("stream":"result","seq":4,)"));
  CHECK(holds(third, R"("stream":"result","seq":5,)"));
}

TEST_CASE("a repeat that comes during the sync waits for the first, and both hear the same",
          "[door]") {
  DoorRig rig;
  std::string request = http_post("/v1/records", "application/json", minimal_result(),
                                  "Idempotency-Key: order-1\r\n");
  rig.kv.hold();
  Client first = rig.client();
  first.say(request);
  rig.kv.wait_for_write();
  Client repeat = rig.client();
  repeat.say(request);
  CHECK_FALSE(repeat.answered_within(100));
  rig.kv.let_go();
  std::string answer = first.answer();
  CHECK(begins(answer, "HTTP/1.1 201 "));
  CHECK(repeat.answer() == answer);
  CHECK(rig.ask(request) == answer);
  CHECK(rig.buffer->view().counters.accepted == 1);
}

TEST_CASE("a client that is too slow is told how long it had", "[door]") {
  HttpBounds bounds;
  bounds.header = bounds.body = bounds.idle = milliseconds(150);
  DoorRig rig(bounds);
  std::string whole = http_post("/v1/records", "application/json", minimal_result());
  CHECK(holds(rig.ask(whole.substr(0, 60)), R"("message":"header: not complete after 150 ms")"));
  std::string late = rig.ask(whole.substr(0, whole.size() - 1));
  CHECK(begins(late, "HTTP/1.1 408 "));
  CHECK(holds(late, R"("message":"body: not complete after 150 ms")"));
  CHECK(rig.ask("").empty());  // nothing was asked: nothing is answered
  CHECK(rig.buffer->view().counters.accepted == 0);
}

TEST_CASE("bodies in hand share a bound; who goes over it is asked to come again", "[door]") {
  HttpBounds bounds;
  bounds.bodies_bytes_max = 1 << 20;
  DoorRig rig(bounds);
  const std::string body(700'000, 'x');
  Client slow = rig.client();
  slow.say(http_post("/v1/documents", "x/y", body).substr(0, 690'000));
  CHECK_FALSE(slow.answered_within(100));
  std::string refused = rig.ask(http_post("/v1/documents", "x/y", body));
  CHECK(begins(refused, "HTTP/1.1 503 "));
  CHECK(holds(refused, R"("code":"busy")"));
  CHECK(holds(refused, "Retry-After: 1"));
  CHECK(begins(rig.ask(http_post("/v1/documents", "x/y", "small")), "HTTP/1.1 201 "));
  slow.say(std::string(20'000, 'x'));
  CHECK(begins(slow.answer(), "HTTP/1.1 201 "));
  CHECK(begins(rig.ask(http_post("/v1/documents", "x/y", body)), "HTTP/1.1 201 "));
}

TEST_CASE(
    "memory of answers is bounded: an old repeat is taken in again, under the same natural key",
    "[door]") {
  DoorRig rig;
  auto request = [](int n) {
    return http_post("/v1/documents", "text/plain", "letter " + std::to_string(n),
                     "Idempotency-Key: k\r\n");
  };
  std::string first = rig.ask(request(0));
  for (int n = 1; n <= 1'024; ++n) rig.ask(request(n));
  std::string again = rig.ask(request(0));
  CHECK(again != first);
  CHECK(first.substr(first.find("content_sha256"), 80) ==
        again.substr(again.find("content_sha256"), 80));
  CHECK(rig.ask(request(1'024)) != again);
  uint64_t accepted = rig.buffer->view().counters.accepted;
  rig.ask(request(1'024));
  CHECK(rig.buffer->view().counters.accepted == accepted);
}

}  // namespace egret::agent
