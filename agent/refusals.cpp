#include "agent/refusals.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "schemas/record.pb.h"

namespace egret::agent {
namespace {

void collect(const google::protobuf::Descriptor& message, std::set<std::string, std::less<>>& names) {
  for (int i = 0; i < message.field_count(); i++) names.insert(message.field(i)->name());
  for (int i = 0; i < message.oneof_decl_count(); i++) names.insert(message.oneof_decl(i)->name());
  for (int i = 0; i < message.nested_type_count(); i++) collect(*message.nested_type(i), names);
}

const std::set<std::string, std::less<>>& field_names() {
  static const auto names = [] {
    std::set<std::string, std::less<>> out;
    const google::protobuf::FileDescriptor& file = *v1::Arrival::descriptor()->file();
    for (int i = 0; i < file.message_type_count(); i++) collect(*file.message_type(i), out);
    return out;
  }();
  return names;
}

}  // namespace

std::string known_field(const std::string& field) {
  std::string out;
  for (size_t at = 0; at <= field.size();) {
    const size_t end = std::min(field.find('.', at), field.size());
    std::string_view part = std::string_view(field).substr(at, end - at);
    part = part.substr(0, part.find('['));
    if (!field_names().contains(part)) return field.empty() ? "" : "(another)";
    out += (out.empty() ? "" : ".") + std::string(part);
    at = end + 1;
  }
  return out;
}

void Refusals::add(const char* code, const std::string& field, int64_t at_ms) {
  std::pair<std::string, std::string> name{code, known_field(field)};
  if (!reasons_.contains(name) && reasons_.size() >= kReasonsKept) name = {"others", ""};
  Reason& reason = reasons_[name];
  reason.code = name.first;
  reason.field = name.second;
  reason.records++;
  reason.last_ms = at_ms;
}

std::vector<Refusals::Reason> Refusals::list() const {
  std::vector<Reason> out;
  for (const auto& [name, reason] : reasons_) out.push_back(reason);
  std::ranges::sort(out, [](const Reason& a, const Reason& b) { return std::tie(b.records, a.code, a.field) < std::tie(a.records, b.code, b.field); });
  return out;
}

}  // namespace egret::agent
