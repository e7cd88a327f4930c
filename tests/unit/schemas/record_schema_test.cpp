#include "schemas/record_schema.h"

#include <cstdlib>
#include <map>
#include <regex>
#include <set>

#include "schemas/record.pb.h"
#include "schemas/record_json_syntax.h"
#include "schemas/record_rules.h"
#include "tests/unit/schemas/record_samples.h"

using namespace egret;
using namespace egret::samples;
namespace pb = google::protobuf;

namespace {

// The comments of record.proto, which the generated code has lost: what stands above a message or
// field.
class Source {
 public:
  Source() {
    static const std::regex opens(R"((message|enum|oneof) (\w+) \{.*)");
    static const std::regex field(R"((optional |repeated )?[\w.]+ (\w+) = \d+[ ;].*)");
    std::istringstream lines(read_file("schemas/record.proto"));
    std::string comment;
    for (std::string line; std::getline(lines, line);) {
      line.erase(0, std::min(line.find_first_not_of(' '), line.size()));
      std::smatch match;
      if (line.rfind("//", 0) == 0) {
        comment += (comment.empty() ? "" : " ") + line.substr(std::min<size_t>(3, line.size()));
        continue;
      }
      if (std::regex_match(line, match, opens)) {
        // A oneof adds no level to the names in it.
        const std::string above = scopes_.empty() ? "egret.v1" : scopes_.back();
        scopes_.push_back(match[1] == "oneof" ? above : above + "." + match[2].str());
        comments_[scopes_.back()] = comment;
      } else if (line == "}" && !scopes_.empty()) {
        scopes_.pop_back();
      } else if (std::regex_match(line, match, field) && !scopes_.empty()) {
        comments_[scopes_.back() + "." + match[2].str()] = comment;
      }
      comment.clear();
    }
    REQUIRE(scopes_.empty());
    REQUIRE(comments_.size() > 150);
  }
  std::string comment_of(const std::string& full_name) const {
    const auto at = comments_.find(full_name);
    return at == comments_.end() ? "" : at->second;
  }

 private:
  std::vector<std::string> scopes_;
  std::map<std::string, std::string> comments_;
};

void for_fields(const MessageRules& rules, std::set<const MessageRules*>& seen,
                const std::function<void(const FieldRules&)>& each) {
  if (!seen.insert(&rules).second) return;
  for (const auto& f : rules.fields) {
    each(f);
    if (f.message != nullptr) for_fields(*f.message, seen, each);
  }
}

}  // namespace

TEST_CASE("record.schema.json is what the rules of record.proto say", "[record][schema]") {
  const Source source;
  const std::string made =
      record_schema_json([&](const std::string& name) { return source.comment_of(name); });
  CHECK(!find_malformed(made));
  const std::string path = std::string(EGRET_SOURCE_DIR) + "/schemas/record.schema.json";
  if (std::getenv("EGRET_WRITE_SCHEMA") != nullptr) std::ofstream(path, std::ios::binary) << made;
  const bool fresh = read_file("schemas/record.schema.json") == made;
  INFO("stale: run EGRET_WRITE_SCHEMA=1 unit-schemas \"[schema]\"");
  CHECK(fresh);
}

TEST_CASE(
    "every field with bytes, items or a number has a limit, and every number that counts something "
    "a unit",
    "[record][schema]") {
  std::set<const MessageRules*> seen;
  size_t fields = 0;
  const auto check = [&](const FieldRules& f) {
    INFO(f.field->full_name());
    ++fields;
    if (f.field->cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING) CHECK(f.max_bytes > 0);
    if (f.is_list()) CHECK(f.rule.max_items() > 0);
    const bool counts = f.name.ends_with("_ms") || f.name.ends_with("_ns") ||
                        f.name.ends_with("_us") || f.name.ends_with("_s") ||
                        f.name.ends_with("_bytes");
    if (counts) CHECK(!f.rule.unit().empty());
    if (f.rule.show()) CHECK(f.name != "birth_year");
  };
  for_fields(rules_of<v1::Body>(), seen, check);
  for_fields(rules_of<v1::Arrival>(), seen, check);
  CHECK(fields > 180);
}

TEST_CASE("every field of an AI result and of telemetry says what it is for", "[record][schema]") {
  const Source source;
  // Names that say all there is to say.
  const std::set<std::string> plain = {"laterality", "components",  "gateway",
                                       "acq_device", "resource",    "series",
                                       "prob_kind",  "t_infer_end", "series_uid"};
  for (const char* name : {"egret.v1.AiResult", "egret.v1.Arrival", "egret.v1.Body"}) {
    const auto& rules = rules_of(pb::DescriptorPool::generated_pool()->FindMessageTypeByName(name));
    for (const auto& f : rules.fields) {
      const bool statement = f.field->real_containing_oneof() != nullptr;
      INFO(f.field->full_name());
      CHECK((statement || plain.count(f.name) == 1 || f.rule.has_range() ||
             f.rule.max_items() > 0 || !source.comment_of(f.field->full_name()).empty()));
    }
  }
}
