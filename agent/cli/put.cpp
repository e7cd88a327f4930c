#include <simdjson.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <thread>

#include "agent/cli/client.h"
#include "agent/cli/cli.h"
#include "agent/status.h"
#include "schemas/limits.h"
#include "schemas/record_json.h"

namespace egret::agent::cli {
namespace {

constexpr size_t kChunkLines = 2'000;
constexpr size_t kChunkBytes = 4 * kMiB;
constexpr int kTriesMax = 8;
constexpr std::chrono::seconds kPutTime{60};

struct Options {
  Where where;
  std::string file, media_type, name, key;
  bool json = false, document = false, telemetry = false;
};

// A bar with the time left, on a terminal, once it takes longer than two seconds.
class Bar {
 public:
  void show(size_t done, size_t all) {
    double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
    if (!::isatty(STDERR_FILENO) || s < 2 || done == 0) return;
    double left = s * static_cast<double>(all - done) / static_cast<double>(done);
    std::fprintf(stderr, "\r%3zu %%, %s left   ", done * 100 / all, shown(Lasting{static_cast<int64_t>(left)}).c_str());
    if (done == all) std::fprintf(stderr, "\n");
  }

 private:
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

// Asks again while the agent says that it is busy or full.
Result<Answer> patient_ask(const Where& where, const Ask& ask) {
  for (int tries = 1;; tries++) {
    Result<Answer> answer = ask_agent(where, ask);
    bool soon = answer && (answer->status == 429 || answer->status == 503);
    if (!soon || tries == kTriesMax) return answer;
    std::this_thread::sleep_for(std::chrono::seconds(tries));
  }
}

struct Totals {
  uint64_t accepted = 0, rejected = 0;
};

int complain(const Error& error) {
  std::fprintf(stderr, "%s\n", error.text.c_str());
  return error.code == Errc::config ? kBadConfig : kUnavailable;
}

// Adds up one answer; says what was refused. `first_line`: where this chunk begins in the file.
int take_answer(const Result<Answer>& answer, size_t first_line, bool json, Totals& totals) {
  if (!answer) return complain(answer.error());
  simdjson::dom::parser parser;
  simdjson::dom::element root, results;
  if (parser.parse(simdjson::padded_string(answer->body)).get(root) != simdjson::SUCCESS) return kIo;
  if (root["results"].get(results) != simdjson::SUCCESS) {
    std::fprintf(stderr, "%s\n", error_text_of(*answer).c_str());
    return try_later(*answer) ? kTryLater : kFoundProblem;
  }
  totals.accepted += uint64_t(root["accepted"]);
  totals.rejected += uint64_t(root["rejected"]);
  for (simdjson::dom::element result : simdjson::dom::array(results)) {
    uint64_t line = 0;
    bool known = result["line"].get(line) == simdjson::SUCCESS;
    std::string_view message;
    bool rejected = result["error"]["message"].get(message) == simdjson::SUCCESS;
    if (json) std::printf("{\"file_line\":%llu,\"result\":%s}\n", known ? static_cast<unsigned long long>(first_line + line - 1) : 0ULL, simdjson::to_string(result).c_str());
    if (rejected && !json) {
      // The agent counts the lines of its request, the person those of the file.
      size_t end = message.find(": ");
      std::string text = known && end != message.npos ? fmt::format("line {}{}", first_line + line - 1, message.substr(end)) : std::string(message);
      std::fprintf(stderr, "%s\n", text.c_str());
    }
  }
  return try_later(*answer) ? kTryLater : kOk;
}

int say(const Totals& totals, int code) {
  std::fprintf(stderr, "%llu accepted, %llu refused\n", static_cast<unsigned long long>(totals.accepted), static_cast<unsigned long long>(totals.rejected));
  return code != kOk ? code : totals.rejected == 0 ? kOk : kFoundProblem;
}

int put_lines(const Options& o, const std::string& text) {
  Totals totals;
  Bar bar;
  size_t at = 0, line = 1;
  while (at < text.size()) {
    size_t end = at, lines = 0;
    while (end < text.size() && lines < kChunkLines && end - at < kChunkBytes) {
      size_t newline = text.find('\n', end);
      end = newline == std::string::npos ? text.size() : newline + 1;
      lines++;
    }
    Ask ask{.method = "POST", .path = "/v1/records", .content_type = "application/x-ndjson", .body = text.substr(at, end - at), .idempotency_key = o.key, .prefer = o.json ? "" : "return=minimal", .time = kPutTime};
    bool blank = ask.body.find_first_not_of(" \t\r\n") == std::string::npos;
    if (!blank) {
      if (int code = take_answer(patient_ask(o.where, ask), line, o.json, totals); code != kOk) return say(totals, code);
    }
    at = end;
    line += lines;
    bar.show(at, text.size());
  }
  return say(totals, kOk);
}

int put_whole(const Options& o, const std::string& text) {
  Totals totals;
  Ask ask{.method = "POST", .path = "/v1/records", .content_type = "application/json", .body = text, .idempotency_key = o.key, .time = kPutTime};
  int code = take_answer(patient_ask(o.where, ask), 1, o.json, totals);
  return say(totals, code);
}

// A document, or telemetry: one request, one answer.
int put_as(const Options& o, const std::string& text) {
  Ask ask{.method = "POST", .path = "/v1/telemetry", .content_type = "application/json", .body = text, .idempotency_key = o.key, .time = kPutTime};
  if (o.document) {
    ask.path = "/v1/documents";
    ask.content_type = o.media_type;
    if (!o.name.empty()) ask.path += "?name=" + boost::urls::encode(o.name, boost::urls::unreserved_chars);
  }
  Result<Answer> answer = patient_ask(o.where, ask);
  if (!answer) return complain(answer.error());
  if (answer->status == 201) {
    std::printf("%s", answer->body.c_str());
    return kOk;
  }
  std::fprintf(stderr, "%s\n", error_text_of(*answer).c_str());
  return try_later(*answer) ? kTryLater : kFoundProblem;
}

// nullopt after a complaint.
std::optional<std::string> read_all(const std::string& file) {
  std::string text;
  if (file == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
    return text;
  }
  std::error_code failed;
  std::ifstream in(file, std::ios::binary);
  if (!in || std::filesystem::is_directory(file, failed)) {
    std::fprintf(stderr, "%s: cannot be read: %s\n", file.c_str(), in ? "is a folder" : std::strerror(errno));
    return std::nullopt;
  }
  text.assign(std::istreambuf_iterator<char>(in), {});
  return text;
}

int put(const Options& o) {
  std::optional<std::string> text = read_all(o.file);
  if (!text) return kIo;
  if (o.document || o.telemetry) return put_as(o, *text);
  return json_form_of(*text) == JsonForm::lines ? put_lines(o, *text) : put_whole(o, *text);
}

}  // namespace

void add_put(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("put", "Gives a file to the agent: JSON, NDJSON, a document, or telemetry.\n"
                                        "Examples: egret-agent put results.ndjson; egret-agent put --document --media-type application/dicom scan.dcm");
  auto o = std::make_shared<Options>();
  o->media_type = "application/octet-stream";
  sub->add_option("file", o->file, "a file, or - for standard input")->required();
  sub->add_option("--socket", o->where.socket, "the agent's unix socket");
  sub->add_option("--url", o->where.url, "http://127.0.0.1:port");
  sub->add_option("--config", o->where.config, "configuration that names the socket")->capture_default_str();
  sub->add_option("--idempotency-key", o->key, "kept with the records as the producer's name of this request");
  sub->add_flag("--document", o->document, "any bytes, at most 16 MiB");
  sub->add_option("--media-type", o->media_type, "of a document")->capture_default_str();
  sub->add_option("--name", o->name, "file name of a document");
  sub->add_flag("--telemetry", o->telemetry, "series and points");
  sub->add_flag("--json", o->json, "an outcome a record, as JSON lines");
  sub->callback([&chosen, o] { chosen = [o] { return put(*o); }; });
}

}  // namespace egret::agent::cli
