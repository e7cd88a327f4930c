#include "cloud/api/fhir_http.h"

#include <algorithm>

namespace egret::cloud {

HttpResponse fhir_as_http(const fhir::Response& from) {
  HttpResponse out{from.status,
                   "application/fhir+json; charset=utf-8",
                   from.body ? fhir::write_json(*from.body) : "",
                   {}};
  for (const auto& [name, value] :
       {std::pair("ETag", &from.etag), std::pair("Last-Modified", &from.last_modified),
        std::pair("Location", &from.location)}) {
    if (!value->empty()) out.headers.emplace_back(name, *value);
  }
  if (from.status == 503) out.headers.emplace_back("Retry-After", "1");
  return out;
}

HttpResponse fhir_refusal(unsigned status, const std::string& text) {
  fhir::Response out;
  out.status = status;
  out.body = fhir::outcome(fhir::Issue::forbidden, text);
  return fhir_as_http(out);
}

std::string fhir_base_of(const HttpRequest& request) {
  const bool tls = header_of(request, "x-forwarded-proto") == "https";
  std::string host = header_of(request, "x-forwarded-host");
  if (host.empty()) host = header_of(request, "host");
  const bool plain = !host.empty() && std::ranges::all_of(host, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == ':' || c == '[' || c == ']';
  });
  return (tls ? "https://" : "http://") + (plain ? host : "localhost") + kFhirPath;
}

}  // namespace egret::cloud
