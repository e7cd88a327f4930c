#include "cloud/merge/read.h"

#include "schemas/chain.h"
#include "schemas/merge_rules.h"
#include "schemas/record.pb.h"

namespace egret::cloud {
namespace {

template <size_t N>
std::array<uint8_t, N> fixed(const std::string& bytes) {
  std::array<uint8_t, N> out{};
  std::copy_n(bytes.begin(), std::min(bytes.size(), N), out.begin());
  return out;
}
Uuid uuid_of(const std::string& bytes) {
  return fixed<sizeof(Uuid)>(bytes);
}

// What the model says, without when, where and how it ran.
Hash output_of(const v1::AiResult& result) {
  v1::AiResult said;
  if (result.has_value()) *said.mutable_value() = result.value();
  if (result.has_absent_reason()) *said.mutable_absent_reason() = result.absent_reason();
  *said.mutable_components() = result.components();
  *said.mutable_interp() = result.interp();
  said.set_critical(result.critical());
  said.set_gradable(result.gradable());
  said.set_prob(result.prob());
  return sha256(said.SerializeAsString());  // no maps in it: one order of bytes
}

void read(const v1::AiResult& result, const Facility& fac, const Hash& content, std::vector<Stated>& out) {
  const Uuid id = logical_id_of(fac, result);
  Version v;
  v.number = result.version();
  v.body = content;
  v.status = static_cast<ResultStatus>(result.status());
  v.unchanged = result.no_value() == v1::AiResult::NO_VALUE_UNCHANGED;
  v.critical = result.critical();
  v.output = output_of(result);
  v.model = fixed<sizeof(Hash)>(result.model_ref());
  v.run = uuid_of(result.run_id());
  v.t_us = result.t_effective().us();
  for (const v1::Coding& code : result.code()) v.codes.push_back(hash_of_code(code.system(), code.code()));
  out.push_back({{fac, id}, v});
  if (off(Rule::newer_model)) return;
  for (const std::string& older : result.supersedes()) {
    if (uuid_of(older) != id) out.push_back({{fac, uuid_of(older)}, Successor{content, id, v.model}});
  }
}

}  // namespace

CodeHash hash_of_code(const std::string& system, const std::string& code) {
  return take<sizeof(CodeHash)>(view(sha256(system + '|' + code)));
}

std::vector<Stated> statements_in(const v1::Body& body, const Hash& content) {
  std::vector<Stated> out;
  if (body.schema() != kRecordSchema) return out;
  const Facility& fac = body.facility_id();
  if (body.has_ai_result()) {
    read(body.ai_result(), fac, content, out);
  } else if (body.has_retraction()) {
    const v1::Retraction& r = body.retraction();
    out.push_back({{fac, uuid_of(r.logical_id())},
                   Retraction{r.version(), content, static_cast<RetractionReason>(r.reason())}});
  } else if (body.has_review()) {
    const v1::Review& r = body.review();
    const Facility& owner = r.result_facility().empty() ? fac : r.result_facility();
    out.push_back({{owner, uuid_of(r.logical_id())},
                   Review{r.version_seen(), content, static_cast<uint8_t>(r.role()),
                          static_cast<ReviewVerdict>(r.verdict()), r.t().us()}});
  }
  return out;
}

}  // namespace egret::cloud
