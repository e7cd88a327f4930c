// The FHIR facade over the results of a whole region: fills a region's store, and asks its real service over HTTP. Prints JSON.
//
//   fhir_bench fill STORE_DIR RESULTS ASKED_DIR   real records in real blocks, views by the Follower; what can be asked goes to
//                                                 ASKED_DIR, a file a kind, an address a line
//   fhir_bench ask PORT TOKEN FILE SECONDS CLIENTS
//
// 547 sites, 100 models, each patient with 20 results that lie in as many blocks of a site.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <random>
#include <thread>

#include "cloud/access.h"
#include "cloud/fhir/ai.h"
#include "cloud/follower.h"
#include "schemas/entropy.h"
#include "tests/bench/corpus.h"
#include "tests/bench/site_blocks.h"

namespace {

using namespace egret;
using namespace egret::cloud;
using Clock = std::chrono::steady_clock;

constexpr size_t kSites = 547, kModels = 100, kResultsOfPatient = 20, kRecordBytes = 600;
constexpr size_t kBlockRecords = 100, kGroupSites = 64;  // a block of 60 KB; a commit
constexpr size_t kAddressesMax = 500'000;                // of one kind
const WallTime kAt{1'760'000'000'000'000};

[[noreturn]] void fail(const std::string& why) {
  fmt::print(stderr, "fhir_bench: {}\n", why);
  std::exit(74);
}

double seconds_since(Clock::time_point begun) {
  return std::chrono::duration<double>(Clock::now() - begun).count();
}

// ---- the store ----

class Region {
 public:
  Region(OpenedStore& opened, uint64_t results) : opened_(opened), follower_(*opened.kv) {
    // Result n is of site n % kSites, and so is its patient, whose next result is `patients` further on.
    const uint64_t patients = std::max<uint64_t>(1, results / kResultsOfPatient / kSites) * kSites;
    for (size_t s = 0; s < kSites; ++s) sites_.emplace_back(fmt::format("clinic-{}", s), kRecordBytes, bench::Spread{patients, kModels});
  }

  void fill(uint64_t results) {
    std::vector<Bytes> models;
    for (size_t k = 0; k < kModels; ++k) models.push_back(sites_[0].model(k));
    put(0, std::move(models));
    const uint64_t of_site = results / kSites;
    for (uint64_t from = 0; from < of_site; from += kBlockRecords) {
      for (size_t s = 0; s < kSites; ++s) {
        std::vector<Bytes> records;
        for (uint64_t i = from; i < std::min(of_site, from + kBlockRecords); ++i) records.push_back(sites_[s].record(s + i * kSites));
        put(s, std::move(records));
      }
    }
    commit();
  }

 private:
  static Facility name_of_site(size_t s) { return fmt::format("clinic-{}", s); }
  void put(size_t s, std::vector<Bytes> records) {
    const Facility fac = name_of_site(s);
    if (!txn_) txn_ = opened_.store->begin();
    const bench::SiteBlock block = bench::judged(std::move(records), fac);
    bench::append(*txn_, fac, {&block, 1}, kAt);
    if (++blocks_ == kGroupSites) commit();
  }
  void commit() {
    if (!txn_) return;
    if (opened_.store->commit(std::move(txn_)) != CommitResult::committed) fail(opened_.store->last_error().text);
    txn_.reset();
    blocks_ = 0;
    for (;;) {
      const auto took = follower_.step(kGroupSites);
      if (!took) fail(took.error().text);
      if (*took == 0) return;
    }
  }

  OpenedStore& opened_;
  Follower follower_;
  std::vector<bench::Corpus> sites_;
  std::unique_ptr<Txn> txn_;
  size_t blocks_ = 0;
};

// Each of many with the same chance.
class Drawn {
 public:
  void add(std::string address) {
    ++seen_;
    if (kept_.size() < kAddressesMax) {
      kept_.push_back(std::move(address));
    } else if (const uint64_t at = random_() % seen_; at < kept_.size()) {
      kept_[at] = std::move(address);
    }
  }
  uint64_t write(const std::string& file) const {
    std::ofstream out(file);
    for (const std::string& address : kept_) out << address << '\n';
    if (!out.flush()) fail(file + " cannot be written");
    return seen_;
  }

 private:
  std::mt19937_64 random_{1};
  uint64_t seen_ = 0;
  std::vector<std::string> kept_;
};

template <class Each>
void each_key(const Kv& kv, const char* first, const char* end, const Each& each) {
  const auto scanned = kv.scan(kViewSpace, first, end, [&](ByteView key, ByteView) {
    each(key);
    return true;
  });
  if (!scanned) fail(scanned.error().text);
}

std::string write_addresses(const Kv& kv, const std::string& dir) {
  Drawn observations, reports, patients, devices;
  each_key(kv, "r", "s", [&](ByteView key) { observations.add("Observation/" + fhir::observation_id(*result_of('r', key))); });
  Hash last{};
  each_key(kv, "s", "t", [&](ByteView key) {
    const Hash patient = take<sizeof(Hash)>(key.substr(1));
    if (patient != last) patients.add("Observation?patient=Patient/" + hex(view(patient)));
    last = patient;
  });
  each_key(kv, "D", "E", [&](ByteView key) { devices.add("Observation?device=Device/" + hex(key.substr(1))); });
  const auto walked = each_run(kv, std::nullopt, [&](const RunName& run) {
    reports.add("DiagnosticReport/" + fhir::id_of(run.run, run.fac));
    return true;
  });
  if (!walked) fail(walked.error().text);
  return fmt::format(R"("observations":{},"reports":{},"patients":{},"devices":{})", observations.write(dir + "/observations"), reports.write(dir + "/reports"),
                     patients.write(dir + "/patients"), devices.write(dir + "/devices"));
}

int fill(const std::string& store, uint64_t results, const std::string& asked) {
  OsEntropy entropy;
  auto opened = open_to_write(store, entropy);
  if (!opened) fail(opened.error().text);
  const auto begun = Clock::now();
  Region(*opened, results).fill(results);
  const double seconds = seconds_since(begun);
  const std::string addresses = write_addresses(*opened->kv, asked);
  fmt::print(R"({{"results":{},{},"filled_s":{:.1f},"disk_bytes":{}}})" "\n", results / kSites * kSites, addresses, seconds, opened->kv->disk_bytes());
  return 0;
}

// ---- the clients ----

// One connection that stays open, as a client keeps it.
class Client {
 public:
  Client(uint16_t port, const std::string& token) : head_(fmt::format(" HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {}\r\nAccept: application/fhir+json\r\n\r\n", port, token)) {
    socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) fail("nobody listens on the port");
    const int one = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  }
  ~Client() { ::close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // The body of the answer; ends the program when it is not 200.
  std::string_view get(const std::string& address) {
    const std::string request = "GET /fhir/" + address + head_;
    if (::send(socket_, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) fail("the service has hung up");
    answer_.clear();
    size_t head = std::string::npos;
    while (head == std::string::npos) {
      receive();
      head = answer_.find("\r\n\r\n");
    }
    if (!answer_.starts_with("HTTP/1.1 200 ")) fail(address + ": " + answer_);
    constexpr std::string_view kLength = "Content-Length: ";
    const size_t at = answer_.find(kLength);
    size_t length = 0;
    if (at > head || std::from_chars(answer_.data() + at + kLength.size(), answer_.data() + head, length).ec != std::errc{}) fail("an answer without a length");
    while (answer_.size() < head + 4 + length) receive();
    return std::string_view(answer_).substr(head + 4);
  }

 private:
  void receive() {
    const size_t before = answer_.size();
    answer_.resize(before + 64 * 1024);
    const ssize_t got = ::recv(socket_, answer_.data() + before, 64 * 1024, 0);
    if (got <= 0) fail("the service has hung up");
    answer_.resize(before + static_cast<size_t>(got));
  }

  const std::string head_;
  std::string answer_;
  int socket_ = -1;
};

struct Seen {
  std::vector<float> ms;
  uint64_t bytes = 0, resources = 0;
};

// A search finds something, and a read what was asked for.
uint64_t resources_in(const std::string& address, std::string_view body) {
  if (const size_t slash = address.find('/'); address.find('?') == std::string::npos) {
    if (body.find(address.substr(slash + 1)) == std::string_view::npos) fail(address + ": another resource came");
    return 1;
  }
  uint64_t found = 0;
  for (size_t at = 0; (at = body.find("\"mode\":\"match\"", at)) != std::string_view::npos; ++at) ++found;
  if (found == 0) fail(address + ": found nothing");
  return found;
}

Seen ask_for(uint16_t port, const std::string& token, const std::vector<std::string>& addresses, double seconds, uint64_t seed) {
  Client client(port, token);
  std::mt19937_64 random(seed);
  Seen out;
  const auto begun = Clock::now();
  while (seconds_since(begun) < seconds) {
    const std::string& address = addresses[random() % addresses.size()];
    const auto asked = Clock::now();
    const std::string_view body = client.get(address);
    out.ms.push_back(static_cast<float>(seconds_since(asked) * 1e3));
    out.bytes += body.size();
    out.resources += resources_in(address, body);
  }
  return out;
}

int ask(uint16_t port, const std::string& token, const std::string& file, double seconds, size_t clients) {
  std::vector<std::string> addresses;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) addresses.push_back(line);
  if (addresses.empty()) fail(file + ": no addresses");
  std::vector<Seen> seen(clients);
  std::vector<std::thread> threads;
  const auto begun = Clock::now();
  for (size_t c = 0; c < clients; ++c) threads.emplace_back([&, c] { seen[c] = ask_for(port, token, addresses, seconds, std::random_device{}() + c); });
  for (std::thread& t : threads) t.join();
  const double took = seconds_since(begun);
  Seen all;
  for (const Seen& one : seen) {
    all.ms.insert(all.ms.end(), one.ms.begin(), one.ms.end());
    all.bytes += one.bytes;
    all.resources += one.resources;
  }
  std::sort(all.ms.begin(), all.ms.end());
  const auto quantile = [&](double q) { return all.ms[static_cast<size_t>(q * static_cast<double>(all.ms.size() - 1))]; };
  const double answers = static_cast<double>(all.ms.size());
  fmt::print(R"({{"answers":{},"seconds":{:.2f},"answers_s":{:.0f},"p50_ms":{:.2f},"p99_ms":{:.2f},"max_ms":{:.2f},"bytes":{:.0f},"resources":{:.1f}}})" "\n", all.ms.size(), took,
             answers / took, quantile(0.5), quantile(0.99), quantile(1), static_cast<double>(all.bytes) / answers, static_cast<double>(all.resources) / answers);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "fill" && argc == 5) return fill(argv[2], std::strtoull(argv[3], nullptr, 10), argv[4]);
  if (what == "ask" && argc == 7)
    return ask(static_cast<uint16_t>(std::strtoul(argv[2], nullptr, 10)), argv[3], argv[4], std::strtod(argv[5], nullptr), std::strtoull(argv[6], nullptr, 10));
  fmt::print(stderr, "fhir_bench fill STORE_DIR RESULTS ASKED_DIR\nfhir_bench ask PORT TOKEN FILE SECONDS CLIENTS\n");
  return 2;
}
