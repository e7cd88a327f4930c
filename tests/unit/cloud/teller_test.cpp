// Telling of alerts: each event until it is taken, in order, from where the store says; signed so that it can be checked.
#include "cloud/outputs/teller.h"

#include <catch2/catch.hpp>
#include <mutex>

#include "cloud/outputs/syslog.h"
#include "cloud/outputs/webhook.h"
#include "records.h"

using namespace egret;
using namespace egret::cloud;

namespace {

struct Heard {
  std::mutex lock;
  std::vector<std::string> events;
  int failures = 0;  // still to come
  size_t count() {
    std::lock_guard held(lock);
    return events.size();
  }
};

class Ear final : public AlertOutput {
 public:
  explicit Ear(Heard& heard) : heard_(heard) {}
  std::string name() const override { return "ear"; }
  Result<void> tell(const AlertEvent& event, uint64_t) override {
    std::lock_guard held(heard_.lock);
    if (heard_.failures > 0) {
      --heard_.failures;
      return Error{Errc::link, "nobody listens"};
    }
    heard_.events.push_back(std::string(egret::cloud::name_of(event.kind)) + " " + std::to_string(event.about.id[0]));
    return {};
  }

 private:
  Heard& heard_;
};

struct TellRig {
  OpenedStore opened;
  SeededEntropy entropy{1};
  std::mutex one;  // stands for the store's thread
  bool down = false;
  TellRig() {
    opened.kv = std::make_unique<KvMemory>(kCloudSpaces);
    opened.store = open_store(*opened.kv, entropy).value();
  }
  Teller::OnStore on_store() {
    return [this](StoreThread::Job job) {
      std::lock_guard held(one);
      job(down ? nullptr : &opened);
    };
  }
  uint64_t delivered() {
    std::lock_guard held(one);
    return delivered_to(*opened.kv, "ear").value();
  }
  void critical(uint8_t id) {
    std::lock_guard held(one);
    KvBatch batch;
    ResultRow row;
    Version version;
    version.critical = true;
    version.body.fill(id);
    version.status = ResultStatus::final;
    row.add(version, {{{7}, StreamId::result}, {id}}, kFac);
    batch.put(kViewSpace, result_key({kFac, id_of(id)}), encode(row));
    batch.put(kViewSpace, views_state_key(), encode(ViewsState{}));
    batch.put(kViewSpace, alert_mark_key({kFac, id_of(id)}), {});
    REQUIRE(opened.kv->write(batch, true).has_value());
    REQUIRE(keep_alerts(*opened.kv, {1'800'000'000'000'000}).value() == 1);
  }
};

void until(const std::function<bool()>& done) {
  for (int i = 0; i < 5'000 && !done(); i++) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(done());
}

constexpr TellerTimes kSoon{5, 1, 4};

bool always(const OpenedStore&) { return true; }

}  // namespace

TEST_CASE("each event is told in order, once it is taken never again, also after a restart", "[alerts]") {
  TellRig rig;
  Heard heard;
  heard.failures = 5;
  rig.critical(1);
  {
    Teller teller(std::make_unique<Ear>(heard), rig.on_store(), always, kSoon);
    rig.critical(2);
    teller.wake();
    until([&] { return heard.count() == 2; });
    rig.down = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    rig.down = false;
    rig.critical(3);
    until([&] { return heard.count() == 3; });
  }
  CHECK(delivered_to(*rig.opened.kv, "ear").value() == 3);
  rig.critical(4);
  Teller again(std::make_unique<Ear>(heard), rig.on_store(), always, kSoon);
  until([&] { return heard.count() == 4; });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(heard.events == std::vector<std::string>{"opened 1", "opened 2", "opened 3", "opened 4"});
}

TEST_CASE("of two over one store one tells, and the other goes on where it ended", "[alerts]") {
  TellRig rig;
  Heard first, second;
  std::atomic<bool> moved = false;
  Teller a(std::make_unique<Ear>(first), rig.on_store(), [&](const OpenedStore&) { return !moved; }, kSoon);
  Teller b(std::make_unique<Ear>(second), rig.on_store(), [&](const OpenedStore&) { return moved.load(); }, kSoon);
  rig.critical(1);
  rig.critical(2);
  until([&] { return rig.delivered() == 2; });
  moved = true;
  rig.critical(3);
  until([&] { return rig.delivered() == 3; });
  CHECK(first.events == std::vector<std::string>{"opened 1", "opened 2"});
  CHECK(second.events == std::vector<std::string>{"opened 3"});
  std::lock_guard held(rig.one);
  REQUIRE(put_delivered(*rig.opened.kv, "ear", 1).has_value());  // from one that was slow
  CHECK(delivered_to(*rig.opened.kv, "ear").value() == 3);
}

TEST_CASE("a webhook's address is taken apart, or refused", "[alerts]") {
  const auto full = http_target("https://alerts.example:8443/a/b?c=d").value();
  CHECK((full.tls && full.host == "alerts.example" && full.port == "8443" && full.path == "/a/b?c=d"));
  const auto bare = http_target("http://[::1]").value();
  CHECK((!bare.tls && bare.host == "::1" && bare.port == "80" && bare.path == "/"));
  for (const char* bad : {"", "ftp://x", "http://", "http:///a", "http://x:", "http://x:0", "http://x:65536", "http://x:8a", "http://u:p@x", "http://x/ y", "http://x/\r\nA: b", "https://x/#f"}) {
    INFO(bad);
    CHECK_FALSE(http_target(bad).has_value());
  }
  CHECK(check_syslog("/dev/log").has_value());
  CHECK(check_syslog("udp://10.0.0.1:514").has_value());
  for (const char* bad : {"", "dev/log", "udp://", "udp://x", "udp://x:", "udp://:514", "udp://x:y", "tcp://x:1"}) CHECK_FALSE(check_syslog(bad).has_value());
}

TEST_CASE("what is sent is signed as documented, and a log's line names no patient", "[alerts]") {
  // HMAC-SHA256("key-of-sixteen-b", "1700000000.{}"), by another program.
  CHECK(webhook_signature("key-of-sixteen-b", 1'700'000'000, "{}") == "ea164b85340ad30c2b52f04f2967fc76054550aeacb1082b8f649c308a8965af");
  AlertEvent event;
  event.number = 3;
  event.kind = AlertEventKind::escalated;
  event.at = {1'700'000'000'000'000};
  event.about = {kFac, id_of(1)};
  event.by = "dr-a";
  event.note = "about a person";
  CHECK(syslog_line(event, 0xab) ==
        "<161>1 2023-11-14T22:13:20.000Z - egret-cloud - alert - critical finding escalated: clinic-1/01000000-0000-0000-0000-000000000000 event 00000000000000ab-3-0");
  event.kind = AlertEventKind::acknowledged;
  CHECK(syslog_line(event, 0xab).starts_with("<165>1 "));
}
