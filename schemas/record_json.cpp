#include "schemas/record_json.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "schemas/limits.h"
#include "schemas/record.pb.h"
#include "schemas/record_json_read.h"
#include "schemas/record_json_syntax.h"
#include "schemas/record_telemetry.h"
#include "schemas/record_text.h"

namespace egret {
namespace {

using Each = std::function<void(JsonOutcome)>;

JsonOutcome outcome_of(const char* unit, size_t number, ByteView json, const Facility& fac) {
  auto made = body_from_json(json, fac);
  if (made) return {number, std::move(made)};
  return {number,
          Error{made.error().code, fmt::format("{} {}: {}", unit, number, made.error().text)}};
}

Error too_many_records() {
  return {Errc::too_large,
          fmt::format("request: more than {} records", with_commas(kRecordsPerRequestMax))};
}

Result<void> read_document(ByteView text, const Facility& fac, const Each& each) {
  const ByteView whole = trim_blanks(text);
  if (whole.empty()) return Error{Errc::bad_input, "malformed JSON at byte 0: nothing there"};
  if (whole.front() != '[') {
    each(outcome_of("record", 1, whole, fac));
    return {};
  }
  const auto items = split_array(whole, kRecordsPerRequestMax);
  if (!items) return items.error();
  if (items->empty()) return Error{Errc::bad_input, "request: an array without a record"};
  for (size_t i = 0; i < items->size(); ++i) each(outcome_of("record", i + 1, (*items)[i], fac));
  return {};
}

// Calls `line(number, text)` for each line that is not blank, until it returns false.
template <class Line>
void for_lines(ByteView text, Line line) {
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const ByteView trimmed = trim_blanks(text.substr(0, end));
    if (!trimmed.empty() && !line(number, trimmed)) return;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

Result<void> read_lines(ByteView text, const Facility& fac, const Each& each) {
  size_t count = 0;
  for_lines(text, [&](size_t, ByteView) { return ++count <= kRecordsPerRequestMax; });
  if (count == 0) return Error{Errc::bad_input, "request: no line with a record"};
  if (count > kRecordsPerRequestMax) return too_many_records();
  for_lines(text, [&](size_t number, ByteView line) {
    each(outcome_of("line", number, line, fac));
    return true;
  });
  return {};
}

}  // namespace

JsonForm json_form_of(ByteView text) {
  const ByteView whole = trim_blanks(text);
  if (whole.empty() || whole.front() == '[') return JsonForm::document;
  const size_t end = whole.find('\n');
  if (end == ByteView::npos) return JsonForm::lines;
  if (whole.find("\n{", end) != ByteView::npos) return JsonForm::lines;
  return find_malformed(whole.substr(0, end)) ? JsonForm::document : JsonForm::lines;
}

Result<NewBody> body_from_json(ByteView json, const Facility& fac) {
  v1::Body body;
  if (auto read = read_body_json(json, body); !read) return read.error();
  return make_body(body, fac);
}

Result<void> records_from_json(ByteView text, JsonForm form, const Facility& fac,
                               const Each& each) {
  if (text.size() > kRequestBytesMax) {
    return Error{Errc::too_large,
                 fmt::format("request: {} bytes, at most {}", with_commas(text.size()),
                             with_commas(kRequestBytesMax))};
  }
  if (form == JsonForm::automatic) form = json_form_of(text);
  return form == JsonForm::lines ? read_lines(text, fac, each) : read_document(text, fac, each);
}

Result<std::vector<NewBody>> telemetry_from_json(ByteView request, const Facility& fac) {
  v1::Body body;
  if (auto read = read_telemetry_json(request, body); !read) return read.error();
  constexpr uint32_t kMachineData = 2;  // GB/T 39725: nothing about a person
  if (body.sens() == 0) body.set_sens(kMachineData);
  if (body.purpose_size() == 0) body.add_purpose(v1::PURPOSE_QUALITY);
  if (!body.facility_id().empty() && body.facility_id() != fac) {
    return Error{Errc::wrong_facility,
                 fmt::format("facility_id: another facility's, allowed {}", fac)};
  }
  return cut_telemetry(body, fac);
}

}  // namespace egret
