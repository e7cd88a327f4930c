#include "schemas/record_json_syntax.h"

#include <simdjson.h>
#include <spdlog/fmt/fmt.h>

#include "schemas/limits.h"
#include "schemas/record_text.h"

namespace egret {
namespace {

namespace ondemand = simdjson::ondemand;

static_assert(kJsonDepthMax == 32, "the error texts below name the limit");

Error malformed(size_t at, std::string_view why) {
  return {Errc::bad_input, fmt::format("malformed JSON at byte {}: {}", at, why)};
}

const char* why_of(simdjson::error_code code) {
  switch (code) {
    case simdjson::UTF8_ERROR:
      return "not UTF-8";
    case simdjson::UNCLOSED_STRING:
      return "a string that is not closed";
    case simdjson::UNESCAPED_CHARS:
      return "a control character inside a string";
    case simdjson::STRING_ERROR:
      return "a wrong escape inside a string";
    case simdjson::EMPTY:
      return "nothing there";
    default:
      return "not a value, or a comma, colon or bracket too few or too many";
  }
}

// JSON's number grammar at any length.
bool is_json_number(std::string_view token) {
  const auto digits = [&token] {
    size_t n = 0;
    while (n < token.size() && token[n] >= '0' && token[n] <= '9') ++n;
    token.remove_prefix(n);
    return n;
  };
  if (!token.empty() && token.front() == '-') token.remove_prefix(1);
  const bool zero = !token.empty() && token.front() == '0';
  const size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  if (!token.empty() && token.front() == '.') {
    token.remove_prefix(1);
    if (digits() == 0) return false;
  }
  if (!token.empty() && (token.front() == 'e' || token.front() == 'E')) {
    token.remove_prefix(1);
    if (!token.empty() && (token.front() == '+' || token.front() == '-')) token.remove_prefix(1);
    if (digits() == 0) return false;
  }
  return token.empty();
}

// Walks all of a document. A false answer leaves `why`.
struct Walk {
  const char* why = nullptr;

  bool fail(simdjson::error_code code) { return fail(why_of(code)); }
  bool fail(const char* text) {
    why = text;
    return false;
  }

  bool value(ondemand::value v, size_t depth) {
    ondemand::json_type type;
    if (const auto error = v.type().get(type)) return fail(error);
    switch (type) {
      case ondemand::json_type::object:
        return object(v, depth + 1);
      case ondemand::json_type::array:
        return array(v, depth + 1);
      case ondemand::json_type::string:
        return string(v.get_string());
      case ondemand::json_type::number:
        return is_json_number(trim_blanks(v.raw_json_token())) ||
               fail("a number that breaks the grammar");
      default: {
        const auto token = trim_blanks(v.raw_json_token());
        return token == "true" || token == "false" || token == "null" || fail("not a value");
      }
    }
  }

  bool string(simdjson::simdjson_result<std::string_view> result) {
    std::string_view text;
    if (const auto error = std::move(result).get(text)) return fail(error);
    return simdjson::validate_utf8(text.data(), text.size()) ||
           fail("a lone surrogate inside a string");
  }

  bool object(ondemand::value v, size_t depth) {
    if (depth > kJsonDepthMax + 1) return fail("nested too deep, allowed 32 levels");
    ondemand::object members;
    if (const auto error = v.get_object().get(members)) return fail(error);
    for (auto member : members) {
      if (const auto error = member.error()) return fail(error);
      if (!string(member.unescaped_key())) return false;
      ondemand::value inner;
      if (const auto error = member.value().get(inner)) return fail(error);
      if (!value(inner, depth)) return false;
    }
    return true;
  }

  bool array(ondemand::value v, size_t depth) {
    if (depth > kJsonDepthMax + 1) return fail("nested too deep, allowed 32 levels");
    ondemand::array items;
    if (const auto error = v.get_array().get(items)) return fail(error);
    return elements(items, depth);
  }

  size_t root_elements = 0;
  bool elements(ondemand::array items, size_t depth) {
    for (auto item : items) {
      if (depth == 1) ++root_elements;
      ondemand::value inner;
      if (const auto error = item.get(inner)) return fail(error);
      if (!value(inner, depth)) return false;
    }
    return true;
  }
};

// Follows brackets, strings and commas, to cut an array at the commas of its first level.
class ArraySplitter {
 public:
  explicit ArraySplitter(ByteView text) : text_(text) {}

  Result<std::vector<ByteView>> split(size_t items_max) {
    at_ = text_.find('[');
    open_ = "[";
    start_ = ++at_;
    for (; at_ < text_.size() && !open_.empty(); ++at_) {
      if (const char* why = step()) return malformed(at_, why);
      if (items_.size() > items_max) {
        return Error{Errc::too_large,
                     fmt::format("request: more than {} records", with_commas(items_max))};
      }
    }
    if (!open_.empty()) return malformed(text_.size(), "an array that is not closed");
    if (!trim_blanks(text_.substr(at_)).empty()) return malformed(at_, "bytes after the end");
    return std::move(items_);
  }

 private:
  const char* step() {
    const char c = text_[at_];
    if (c == '"') return skip_string();
    if (c == '[' || c == '{') {
      open_ += c;
      return open_.size() > kJsonDepthMax + 1 ? "nested too deep, allowed 32 levels" : nullptr;
    }
    if (c == ']' || c == '}') {
      if (open_.back() != (c == ']' ? '[' : '{')) return "a bracket that closes another";
      open_.pop_back();
      return open_.empty() ? end_item(true) : nullptr;
    }
    return c == ',' && open_.size() == 1 ? end_item(false) : nullptr;
  }

  const char* skip_string() {
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\') {
        ++at_;
      } else if (text_[at_] == '"') {
        return nullptr;
      }
    }
    return "a string that is not closed";
  }

  const char* end_item(bool last) {
    const ByteView item = trim_blanks(text_.substr(start_, at_ - start_));
    start_ = at_ + 1;
    if (item.empty()) return last && items_.empty() ? nullptr : "a comma too many";
    items_.push_back(item);
    return nullptr;
  }

  ByteView text_;
  size_t at_ = 0;
  size_t start_ = 0;
  std::string open_;  // brackets that are open
  std::vector<ByteView> items_;
};

}  // namespace

ByteView trim_blanks(ByteView text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == ByteView::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool at_end(simdjson::ondemand::document& document) {
  return document.current_location().error() == simdjson::OUT_OF_BOUNDS;
}

std::optional<Error> find_malformed(ByteView text) {
  if (trim_blanks(text).empty()) return malformed(0, "nothing there");
  // In brackets every text has the same root, a scalar too; what follows a value then shows as a
  // second element.
  std::string wrapped;
  wrapped.reserve(text.size() + 2 + simdjson::SIMDJSON_PADDING);
  wrapped.append("[").append(text).append("]");
  ondemand::parser parser;
  ondemand::document document;
  Walk walk;
  const simdjson::padded_string_view padded(wrapped.data(), wrapped.size(), wrapped.capacity());
  if (const auto error = parser.iterate(padded).get(document)) return malformed(0, why_of(error));
  ondemand::array root;
  bool fine = false;
  if (const auto error = document.get_array().get(root)) {
    walk.fail(error);
  } else {
    fine = walk.elements(root, 1);
  }
  const char* at = nullptr;
  const auto located = document.current_location().get(at);
  const bool at_end = located == simdjson::OUT_OF_BOUNDS;
  const size_t byte =
      located == simdjson::SUCCESS ? static_cast<size_t>(at - wrapped.data()) - 1 : text.size();
  if (!fine) return malformed(std::min(byte, text.size()), walk.why);
  if (!at_end || walk.root_elements != 1)
    return malformed(std::min(byte, text.size()), "bytes after the end");
  return std::nullopt;
}

Result<std::vector<ByteView>> split_array(ByteView text, size_t items_max) {
  return ArraySplitter(text).split(items_max);
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  size_t plain = 0;  // from here on nothing has to be escaped so far
  for (size_t i = 0; i < text.size(); i++) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    if (c < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += '\\';
      out += text[i];
    }
  }
  out.append(text, plain);
  out += '"';
}

}  // namespace egret
