// Exchange: what a FHIR client asks and what it is answered, without HTTP around it (FHIR R4, RESTful API).
// Promises: what is too long or cannot be read is refused with an OperationOutcome that names parameter and limit and holds
// no value; answers are FHIR JSON. Leaves to others: sockets, roles and tokens (cloud/api), what is answered (answer.h).
#pragma once

#include <optional>

#include "cloud/fhir/json.h"

namespace egret::cloud::fhir {

// Where the facade stands on the region's server.
inline constexpr const char* kFhirPath = "/fhir";

// name=value, decoded; in the order in which they came.
using Parameters = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string method;  // GET, POST, PUT, PATCH
  std::string path;    // below the base: "Observation/1"
  std::string query;   // as it came
  std::string body;
  std::string content_type, if_match, if_none_match, if_none_exist, prefer;
  std::string base;    // absolute address of the facade, without a slash at its end
  std::string client;  // who asks, for the record of a write; a name, no secret
};

struct Response {
  unsigned status = 200;
  std::optional<Json> body;  // none: an empty one
  std::string etag, last_modified, location;
};

// FHIR's IssueType.
enum class Issue : uint8_t { invalid, structure, required, value, not_supported, not_found, deleted, too_long, too_costly, conflict, duplicate, forbidden, processing, exception, transient, informational };
const char* code_of(Issue issue);
Json outcome(Issue issue, const std::string& text, const char* severity = "error");
Response refusal(unsigned status, Issue issue, const std::string& text);
// An error of the store or of a reader: which status it becomes.
Response refusal(const Error& error);

// Errors: bad_input (a bad escape, not UTF-8), too_large (kFhirParametersMax, kFhirParameterBytesMax).
Result<Parameters> parse_query(std::string_view query);
std::string encode_query(const Parameters& parameters);
// "a/b/c" as its parts, decoded. Errors: bad_input.
Result<std::vector<std::string>> parse_path(std::string_view path);

// W/"3" or "3" is 3; nullopt: it is neither.
std::optional<std::string> tag_in(std::string_view header);
std::string etag_of(const std::string& version);
// RFC 7231, as Last-Modified wants it.
std::string http_date(WallTime at);
// FHIR instant in UTC with milliseconds.
std::string instant(WallTime at);

}  // namespace egret::cloud::fhir
