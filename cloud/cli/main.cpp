#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <pwd.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "cloud/cli/cli.h"
#include "schemas/entropy.h"
#include "schemas/log.h"

namespace egret::cloud::cli {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

// Asks the running service. Errors: link (nobody listens there).
Result<ControlAnswer> ask_service(const std::filesystem::path& socket_path, const std::string& name, const ControlArgs& args) {
  asio::io_context io;
  asio::local::stream_protocol::socket socket(io);
  boost::system::error_code error;
  socket.connect(asio::local::stream_protocol::endpoint(socket_path.string()), error);
  http::request<http::string_body> request(http::verb::post, "/control/" + name, 11);
  request.set(http::field::host, "localhost");
  request.keep_alive(false);
  request.body() = encode_args(args);
  request.prepare_payload();
  if (!error) http::write(socket, request, error);
  boost::beast::flat_buffer buffer;
  http::response<http::string_body> response;
  if (!error) http::read(socket, buffer, response, error);
  if (error) return Error{Errc::link, socket_path.string() + ": the store is in use, and its service does not answer (" + error.message() + ")"};
  const std::string& body = response.body();
  size_t line = body.find('\n');
  if (line == std::string::npos) return Error{Errc::link, "the service answered: " + body};
  return ControlAnswer{std::atoi(body.c_str()), body.substr(line + 1)};
}

int show(const ControlAnswer& answer, bool json, const std::string& plain) {
  if (answer.code != 0) {
    std::fprintf(stderr, "%s\n", answer.text.c_str());
  } else {
    std::printf("%s\n", json ? answer.text.c_str() : plain.c_str());
  }
  return answer.code;
}

}  // namespace

std::shared_ptr<Where> add_where(CLI::App* sub) {
  auto where = std::make_shared<Where>();
  sub->add_option("--config", where->config, "configuration file")->capture_default_str();
  sub->add_option("--state-dir", where->state_dir, "where the store is, instead of the configuration's");
  return where;
}

std::optional<std::filesystem::path> state_dir_of(const Where& where) {
  if (!where.state_dir.empty()) return where.state_dir;
  CheckedCloudConfig checked = read_cloud_config(where.config);
  for (const ConfigMistake& m : checked.mistakes) std::fprintf(stderr, "%s\n", text_of(m).c_str());
  if (!checked.mistakes.empty()) return std::nullopt;
  return checked.config.state_dir;
}

int complain(const Error& error) {
  std::fprintf(stderr, "%s\n", error.text.c_str());
  switch (error.code) {
    case Errc::locked: return kTryLater;
    case Errc::newer_format: return kBadConfig;
    case Errc::link: return kUnavailable;
    case Errc::config:
    case Errc::not_found:
    case Errc::corrupt: return kFoundProblem;
    default: return kIo;
  }
}

std::function<void(uint64_t, uint64_t)> progress_bar() {
  auto begun = std::chrono::steady_clock::now();
  return [begun](uint64_t done, uint64_t all) {
    double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    if (!::isatty(STDERR_FILENO) || s < 2 || done == 0 || all == 0) return;
    double left = s * static_cast<double>(all - done) / static_cast<double>(done);
    std::fprintf(stderr, "\r%3llu %%, %.0f s left   %s", static_cast<unsigned long long>(done * 100 / all), left, done == all ? "\n" : "");
  };
}

std::string who(const std::string& by) {
  if (!by.empty()) return by;
  const passwd* account = ::getpwuid(::getuid());
  return account ? account->pw_name : fmt::format("uid {}", ::getuid());
}

std::optional<StorePlace> store_of(const Where& where, int& code) {
  if (!where.state_dir.empty()) return StorePlace{where.state_dir, {}};
  code = kBadConfig;
  CheckedCloudConfig checked = read_cloud_config(where.config);
  for (const ConfigMistake& m : checked.mistakes) std::fprintf(stderr, "%s\n", text_of(m).c_str());
  if (!checked.mistakes.empty()) return std::nullopt;
  Result<StorePlace> place = place_of(checked.config);
  if (place) return std::move(*place);
  complain(place.error());
  return std::nullopt;
}

std::optional<OpenedStore> look(const Where& where, int& code) {
  std::optional<StorePlace> place = store_of(where, code);
  if (!place) return std::nullopt;
  Result<OpenedStore> opened = open_to_look(*place);
  if (opened) return std::move(*opened);
  code = complain(opened.error());
  return std::nullopt;
}

int control(const Where& where, const std::string& name, const ControlArgs& stated, bool json, const std::string& plain) {
  ControlArgs args = stated;
  args.try_emplace("by", who(""));
  int code = kBadConfig;
  std::optional<StorePlace> place = store_of(where, code);
  if (!place) return code;
  const std::filesystem::path& state = place->state_dir;
  OsEntropy entropy;
  Result<OpenedStore> opened = open_to_write(*place, entropy);
  if (opened) return show(run_control(name, args, *opened, store_dir(state), clock_now().wall), json, plain);
  if (opened.error().code != Errc::locked) return complain(opened.error());
  Result<ControlAnswer> answer = ask_service(control_socket(state), name, args);
  return answer ? show(*answer, json, plain) : complain(answer.error());
}

int main(int argc, char** argv) {
  begin_log("egret-cloud");
  CLI::App app{"egret-cloud: commits what sites send, acknowledges it, and says who is complete up to where.\n"
               "Exit: 0 ok, 1 found a problem, 2 wrong usage, 69 the service does not answer, 74 I/O, 75 try later, 78 configuration."};
  app.set_version_flag("--version", std::string("egret-cloud ") + EGRET_VERSION);
  app.require_subcommand(1);
  Chosen chosen;
  for (auto add : {add_init, add_serve, add_check_config, add_facility, add_token, add_facilities, add_completeness, add_gaps, add_quarantine, add_incidents, add_result, add_worklist, add_alerts, add_changes, add_quality, add_recall, add_erase, add_patient, add_live, add_retention, add_hold, add_history, add_audit, add_remap, add_restrict, add_views, add_logs, add_verify, add_export, add_backup, add_restore, add_migrate}) {
    add(app, chosen);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kOk : kUsage;
  }
  try {
    return chosen();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return kIo;
  }
}

}  // namespace egret::cloud::cli
