// Reading beside the thread that owns the store: one state at a time, never an old one, never a store that has gone.
#include "cloud/readers.h"

#include <catch2/catch.hpp>
#include <future>

#include "cloud/access.h"
#include "cloud/fhir/world.h"
#include "cloud/follower.h"
#include "tests/sim/kv_memory.h"
#include "tests/unit/cloud/api_rig.h"

using namespace egret;
using namespace egret::cloud;

namespace {

struct Bed {
  explicit Bed(size_t threads = 2) : readers(threads) { readers.open(*opened.kv); }
  ~Bed() { readers.close(); }

  // What the job gives back; nullopt: the store was down.
  template <class Job>
  auto ask(Job job) {
    std::promise<std::optional<decltype(job(std::declval<OpenedStore&>(), std::declval<std::shared_ptr<void>&>()))>> out;
    ReadJob wrapped = [&](OpenedStore* store, std::shared_ptr<void>* kept) {
      if (store == nullptr) return out.set_value(std::nullopt);
      out.set_value(job(*store, *kept));
    };
    REQUIRE(readers.take(wrapped));
    return out.get_future().get();
  }
  void put(const Bytes& key, const Bytes& value) {
    KvBatch batch;
    batch.put(kMetaSpace, key, value);
    REQUIRE(opened.kv->write(batch, false).has_value());
  }

  egret::test::TempDir folder;
  SeededEntropy entropy{1};
  OpenedStore opened = found_store(folder.path() / "store", entropy).value();
  Readers readers;
};

// A state may still be in another's hands, or have been let go on a slow machine.
bool sooner_or_later(const std::function<bool()>& test) {
  for (int i = 0; i < 200; ++i, std::this_thread::sleep_for(std::chrono::milliseconds(20))) {
    if (test()) return true;
  }
  return false;
}

Bytes value_at(const OpenedStore& store, const Bytes& key) {
  return store.kv->get(kMetaSpace, key).value().value_or("");
}

}  // namespace

TEST_CASE("a reader sees what was written before it was asked, and nothing by halves") {
  Bed bed;
  bed.put("zz1", "0");
  bed.put("zz2", "0");
  std::atomic<bool> over = false;
  std::atomic<size_t> torn = 0, old = 0, answers = 0;
  std::atomic<uint64_t> written = 0;
  std::vector<std::thread> clients;
  for (int c = 0; c < 3; ++c) {
    clients.emplace_back([&, c] {
      while (!over) {
        std::promise<void> done;
        ReadJob job = [&, least = written.load()](OpenedStore* store, std::shared_ptr<void>*) {
          const Bytes first = value_at(*store, "zz1");
          std::this_thread::yield();
          torn += first != value_at(*store, "zz2");
          old += std::stoull(first) < least;
          ++answers;
          done.set_value();
        };
        if (!(c == 0 ? bed.readers.run(job) : bed.readers.take(job))) break;
        done.get_future().wait();
      }
    });
  }
  for (uint64_t n = 1; n <= 2'000 || answers < 200; ++n) {
    KvBatch batch;
    batch.put(kMetaSpace, "zz1", std::to_string(n));
    batch.put(kMetaSpace, "zz2", std::to_string(n));
    REQUIRE(bed.opened.kv->write(batch, false).has_value());
    written = n;
  }
  over = true;
  for (std::thread& client : clients) client.join();
  CHECK(torn == 0);
  CHECK(old == 0);
}

TEST_CASE("what a reader keeps of a state goes with the next write, or when nobody asks") {
  Bed bed(1);
  const auto keep = [](OpenedStore&, std::shared_ptr<void>& kept) {
    const bool fresh = kept == nullptr;
    if (fresh) kept = std::make_shared<int>(7);
    return std::pair(fresh, std::weak_ptr<void>(kept));
  };
  CHECK(bed.ask(keep)->first);
  std::weak_ptr<void> kept;
  CHECK(sooner_or_later([&] {
    const auto [fresh, latest] = *bed.ask(keep);
    kept = latest;
    return !fresh;
  }));
  bed.put("zz", "1");
  CHECK(bed.ask(keep)->first);
  CHECK(sooner_or_later([&] { return kept.expired(); }));
}

TEST_CASE("who asks may read at once, on its own thread, what the readers see") {
  Bed bed(1);
  const auto keep = [](std::weak_ptr<void>& kept, bool& fresh) {
    return [&](OpenedStore*, std::shared_ptr<void>* place) {
      fresh = *place == nullptr;
      if (fresh) *place = std::make_shared<int>(7);
      kept = *place;
    };
  };
  std::weak_ptr<void> kept;
  bool fresh = false;
  std::thread::id where;
  ReadJob job = [&](OpenedStore* store, std::shared_ptr<void>* place) {
    where = std::this_thread::get_id();
    keep(kept, fresh)(store, place);
  };
  REQUIRE(bed.readers.run(job));
  CHECK(where == std::this_thread::get_id());
  CHECK(fresh);
  // The readers' own threads and this one share it, in turns.
  const auto fill = [](OpenedStore&, std::shared_ptr<void>& place) { return std::exchange(place, std::make_shared<int>(7)) == nullptr; };
  CHECK(sooner_or_later([&] { return !bed.ask(fill).value(); }));
  CHECK(sooner_or_later([&] {
    ReadJob again = keep(kept, fresh);
    return bed.readers.run(again) && !fresh;
  }));
  // When nobody asks any more it goes, though no reader of its own had it last.
  CHECK(sooner_or_later([&] { return kept.expired(); }));
  bed.readers.close();
  ReadJob late = [](OpenedStore*, std::shared_ptr<void>*) {};
  CHECK_FALSE(bed.readers.run(late));
  CHECK(late);
}

TEST_CASE("a reader cannot write") {
  Bed bed;
  const auto error = bed.ask([](OpenedStore& store, std::shared_ptr<void>&) {
    KvBatch batch;
    batch.put(kMetaSpace, "zz", "1");
    const auto written = store.kv->write(batch, true);
    return written ? Errc::config : written.error().code;
  });
  CHECK(error == Errc::store_failed);
  CHECK(value_at(bed.opened, "zz").empty());
}

TEST_CASE("a store is closed once nobody reads it, and what waited gets none") {
  Bed bed;
  std::promise<void> begun[2], go;
  const auto going = go.get_future().share();
  std::atomic<int> read = 0, none = 0;
  for (auto& one : begun) {
    ReadJob job = [&](OpenedStore* store, std::shared_ptr<void>*) {
      one.set_value();
      going.wait();
      read += store != nullptr && store->kv->get(kMetaSpace, meta_key()).value().has_value();
    };
    REQUIRE(bed.readers.take(job));
  }
  for (auto& one : begun) one.get_future().wait();
  for (int i = 0; i < 5; ++i) {
    ReadJob job = [&](OpenedStore* store, std::shared_ptr<void>*) { none += store == nullptr; };
    REQUIRE(bed.readers.take(job));
  }
  auto closed = std::async(std::launch::async, [&] { bed.readers.close(); });
  CHECK(closed.wait_for(std::chrono::milliseconds(100)) == std::future_status::timeout);
  go.set_value();
  closed.get();
  CHECK(read == 2);
  CHECK(none == 5);
  bed.opened.store.reset();
  bed.opened.kv.reset();
  ReadJob job = [](OpenedStore*, std::shared_ptr<void>*) {};
  CHECK_FALSE(bed.readers.take(job));
  CHECK(job);  // it is the caller's still
}

TEST_CASE("a store that cannot be read beside its owner is left to the owner") {
  KvMemory kv(kCloudSpaces);
  Readers readers(1);
  readers.open(kv);
  ReadJob job = [](OpenedStore*, std::shared_ptr<void>*) {};
  CHECK_FALSE(readers.take(job));
}

namespace {

// The API over a store on disk; what its owner is asked is counted.
struct BesideRig : ApiRig {
  BesideRig() {
    region.on_store = [this](StoreThread::Job job) {
      ++owner;
      job(&disk.opened);
    };
    region.beside_store = [this](ReadJob job) { REQUIRE(disk.readers.take(job)); };
    region.read_here = [this](ReadJob job) { REQUIRE(disk.readers.run(job)); };
    door = std::make_unique<Door>(api_endpoints(region), file(), false, [this] { return now; });
    Follower follower(*disk.opened.kv);
    while (follower.step(64).value() > 0) {
    }
  }
  HttpResponse fhir(const std::string& method, const std::string& target, const std::string& body = "") {
    HttpRequest asked = request(method, "/fhir/" + target, token(Role::fhir), body);
    asked.headers["content-type"] = "application/fhir+json";
    std::promise<HttpResponse> out;
    door->answer(asked, [&](HttpResponse response) { out.set_value(std::move(response)); });
    return out.get_future().get();
  }
  Bed disk;
  std::atomic<int> owner = 0;
};

}  // namespace

TEST_CASE("FHIR reads and searches leave the store's thread alone, and see what was just written there") {
  BesideRig rig;
  for (int n = 1; n <= 20; ++n) {
    const std::string id = std::to_string(n);
    const auto put = rig.fhir("PUT", "Patient/p" + id, R"({"resourceType":"Patient","id":"p)" + id + R"(","identifier":[{"system":"urn:i","value":"v)" + id + "\"}]}");
    REQUIRE(put.status == 201);
    rig.owner = 0;
    CHECK(rig.fhir("GET", "Patient/p" + id).status == 200);
    CHECK(rig.fhir("GET", "Patient?identifier=urn:i|v" + id).body.find("\"p" + id + "\"") != std::string::npos);
    CHECK(rig.fhir("GET", "Patient/none").status == 404);
    CHECK(rig.owner == 0);
  }
}

TEST_CASE("views that are not whole are made by the owner, who then answers") {
  BesideRig rig;
  REQUIRE(rig.fhir("PUT", "Patient/p", R"({"resourceType":"Patient","id":"p"})").status == 201);
  REQUIRE(Follower::ask_rebuild(*rig.disk.opened.kv).has_value());
  rig.owner = 0;
  CHECK(rig.fhir("GET", "Patient/p").status == 200);
  CHECK(rig.owner == 1);
  CHECK(rig.fhir("GET", "Patient/p").status == 200);
  CHECK(rig.owner == 1);
}

TEST_CASE("FHIR is refused while the store is down") {
  BesideRig rig;
  Region down = rig.region;
  down.on_store = [](StoreThread::Job job) { job(nullptr); };
  down.beside_store = down.read_here = [](ReadJob job) { job(nullptr, nullptr); };
  rig.door = std::make_unique<Door>(api_endpoints(down), rig.file(), false, [&] { return rig.now; });
  const auto answer = rig.fhir("GET", "Patient/p");
  CHECK(answer.status == 503);
  CHECK(answer.headers.front().first == "Retry-After");
}
