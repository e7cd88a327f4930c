#include "cloud/fhir/patch.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "schemas/limits_fhir.h"

namespace egret::cloud::fhir {
namespace {

// The tokens of a JSON Pointer (RFC 6901). nullopt: it is none.
std::optional<std::vector<std::string>> tokens_of(const std::string& pointer) {
  std::vector<std::string> out;
  if (!pointer.empty() && pointer.front() != '/') return std::nullopt;
  for (size_t i = 0; i < pointer.size(); i++) {
    if (pointer[i] == '/') {
      if (out.size() == kJsonDepthMax) return std::nullopt;
      out.emplace_back();
    } else if (pointer[i] == '~') {
      if (++i == pointer.size() || (pointer[i] != '0' && pointer[i] != '1')) return std::nullopt;
      out.back() += pointer[i] == '0' ? '~' : '/';
    } else {
      out.back() += pointer[i];
    }
  }
  return out;
}

// 0 or more, without a leading zero; below `end`.
std::optional<size_t> index_in(const std::string& token, size_t end) {
  size_t out = 0;
  const auto [stop, failed] = std::from_chars(token.data(), token.data() + token.size(), out);
  const bool plain = failed == std::errc{} && stop == token.data() + token.size() && (token.size() == 1 || token.front() != '0');
  return plain && out < end ? std::optional(out) : std::nullopt;
}

Json* child(Json& of, const std::string& token) {
  if (of.is(Json::Kind::object)) return of.find(token);
  if (!of.is(Json::Kind::array)) return nullptr;
  const auto index = index_in(token, of.items().size());
  return index ? &of.items()[*index] : nullptr;
}

size_t size_of(const Json& json) {
  size_t out = json.text().size() + 8;
  for (const Json& item : json.items()) out += size_of(item);
  for (const Json::Member& member : json.members()) out += member.first.size() + size_of(member.second);
  return out;
}

class Patching {
 public:
  explicit Patching(Json target) : target_(std::move(target)) {}

  // nullptr: done; else why not.
  const char* step(const Json& step) {
    const std::string& op = step.text_at("op");
    const Json* path = step.find("path");
    const auto tokens = path != nullptr && path->is(Json::Kind::string) ? tokens_of(path->text()) : std::nullopt;
    if (!tokens) return "path: a JSON pointer is expected";
    const Json* value = step.find("value");
    if (op == "remove") return remove(*tokens) ? nullptr : "path: is not there";
    if (op == "add" || op == "replace" || op == "test") {
      if (value == nullptr) return "value: is missing";
      if (op == "test") return test(*tokens, *value);
      if (op == "replace" && (at(*tokens) == nullptr)) return "path: is not there";
      return put(*tokens, *value, op == "replace");
    }
    if (op == "move" || op == "copy") {
      const Json* from = step.find("from");
      const auto source = from != nullptr && from->is(Json::Kind::string) ? tokens_of(from->text()) : std::nullopt;
      return source ? carry(op == "move", *source, *tokens) : "from: a JSON pointer is expected";
    }
    return "op: add, remove, replace, move, copy or test";
  }

  bool failed_test() const { return failed_test_; }
  size_t grown() const { return grown_; }
  Json take() { return std::move(target_); }

 private:
  Json* at(const std::vector<std::string>& tokens) {
    Json* out = &target_;
    for (const std::string& token : tokens) {
      out = child(*out, token);
      if (out == nullptr) return nullptr;
    }
    return out;
  }

  const char* test(const std::vector<std::string>& tokens, const Json& value) {
    const Json* there = at(tokens);
    failed_test_ = there == nullptr || !(*there == value);
    return failed_test_ ? "the test fails" : nullptr;
  }

  Json* parent(const std::vector<std::string>& tokens) { return at({tokens.begin(), tokens.end() - 1}); }

  const char* put(const std::vector<std::string>& tokens, const Json& value, bool instead) {
    grown_ += size_of(value);
    if (tokens.empty()) {
      target_ = value;
      return nullptr;
    }
    Json* into = parent(tokens);
    if (into == nullptr) return "path: its parent is not there";
    if (into->is(Json::Kind::object)) {
      if (Json* there = into->find(tokens.back())) *there = value;
      else into->members().emplace_back(tokens.back(), value);
      return nullptr;
    }
    if (!into->is(Json::Kind::array)) return "path: its parent is no list or object";
    auto& items = into->items();
    const auto index = tokens.back() == "-" ? std::optional(items.size()) : index_in(tokens.back(), items.size() + (instead ? 0 : 1));
    if (!index) return "path: no place in its list";
    if (instead) items[*index] = value;
    else items.insert(items.begin() + static_cast<ptrdiff_t>(*index), value);
    return nullptr;
  }

  bool remove(const std::vector<std::string>& tokens) {
    if (tokens.empty() || at(tokens) == nullptr) return false;
    Json* from = parent(tokens);
    if (from->is(Json::Kind::object)) from->remove(tokens.back());
    else from->items().erase(from->items().begin() + static_cast<ptrdiff_t>(*index_in(tokens.back(), from->items().size())));
    // FHIR has no empty lists and objects.
    if (from->empty() && tokens.size() > 1) remove({tokens.begin(), tokens.end() - 1});
    return true;
  }

  const char* carry(bool move, const std::vector<std::string>& from, const std::vector<std::string>& to) {
    const Json* there = at(from);
    if (there == nullptr) return "from: is not there";
    if (move && to.size() > from.size() && std::equal(from.begin(), from.end(), to.begin())) return "path: lies in what is moved";
    const Json value = *there;
    if (move) remove(from);
    return put(to, value, false);
  }

  Json target_;
  bool failed_test_ = false;
  size_t grown_ = 0;
};

}  // namespace

Result<Json> patched(Json target, const Json& patch) {
  if (!patch.is(Json::Kind::array) || patch.items().empty()) return Error{Errc::bad_input, "patch: a list of steps is expected"};
  if (patch.items().size() > kFhirPatchStepsMax) return Error{Errc::too_large, fmt::format("patch: more than {} steps", kFhirPatchStepsMax)};
  Patching patching(std::move(target));
  for (size_t i = 0; i < patch.items().size(); i++) {
    const char* why = patching.step(patch.items()[i]);
    if (why != nullptr) return Error{patching.failed_test() ? Errc::conflict : Errc::bad_input, fmt::format("patch[{}]: {}", i, why)};
    if (patching.grown() > kFhirRequestBytesMax) return Error{Errc::too_large, fmt::format("patch[{}]: adds more than {} bytes", i, kFhirRequestBytesMax)};
  }
  return patching.take();
}

}  // namespace egret::cloud::fhir
