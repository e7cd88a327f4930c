#include "tests/bench/corpus.h"

#include <zstd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <vector>

#include "schemas/chain.h"
#include "schemas/limits.h"
#include "schemas/record.h"
#include "schemas/record.pb.h"

namespace egret::bench {
namespace {

constexpr int64_t kFirstUs = 1'740'000'000'000'000;  // February 2025

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "bench: %s\n", why.c_str());
  std::exit(66);
}

std::string unzstd(const std::string& packed) {
  std::string out;
  std::vector<char> chunk(ZSTD_DStreamOutSize());
  ZSTD_DStream* stream = ZSTD_createDStream();
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  while (in.pos < in.size) {
    ZSTD_outBuffer buffer{chunk.data(), chunk.size(), 0};
    if (ZSTD_isError(ZSTD_decompressStream(stream, &buffer, &in))) break;
    out.append(chunk.data(), buffer.pos);
  }
  ZSTD_freeDStream(stream);
  return out;
}

// The samples as plain text: what a text field may not hold is left out.
std::string read_observations() {
  const std::string path =
      std::string(EGRET_SOURCE_DIR) + "/tests/data/fhir/synthea/Observation.ndjson.zst";
  std::ifstream file(path, std::ios::binary);
  std::stringstream packed;
  packed << file.rdbuf();
  std::string text;
  for (char c : unzstd(packed.str())) {
    if (c >= ' ' && c <= '~') text.push_back(c);
  }
  if (text.size() < 100 * kKiB) fail("no observations in " + path);
  return text;
}

const std::string& observations() {
  static const std::string text = read_observations();
  return text;
}

void coding(v1::Coding* to, const char* system, const char* code) {
  to->set_system(system);
  to->set_code(code);
}

v1::Body model_body(uint64_t k) {
  v1::Body body;
  v1::ModelDef* model = body.mutable_model_def();
  model->set_model_id("sample-model-" + std::to_string(k));
  model->set_vendor("Sample Imaging");
  model->set_name("Sample Model " + std::to_string(k));
  model->set_version("1.0");
  model->set_intended_use("decision support");
  model->set_autonomy(v1::ModelDef::AUTONOMY_ASSIST);
  return body;
}

Bytes arrival(uint64_t n) {
  v1::Arrival out;
  out.set_wall_us(kFirstUs + static_cast<int64_t>(n) * 900'000 + 1'500'000);
  out.set_mono_ns(9'000'000'000'000 + n * 900'000'000);
  out.set_boot_id(view(sha256("boot")).data(), sizeof(Uuid));
  out.set_clock_state(v1::Arrival::CLOCK_STATE_SYNCED);
  out.set_door(v1::Arrival::DOOR_HTTP);
  out.set_edge_id("edge-node-01");
  out.set_agent_version(EGRET_VERSION);
  return encode_arrival(out).value();
}

Bytes finished(v1::Body& body, const Facility& fac, uint64_t n) {
  body.set_sens(4);
  body.add_purpose(v1::PURPOSE_CARE);
  Result<NewBody> made = make_body(body, fac);
  if (!made) fail("a record of the corpus breaks a rule: " + made.error().text);
  return join_record(made->bytes, arrival(n)).value();
}

void describe(v1::AiResult& result, uint64_t n, uint32_t version, uint64_t patient, const std::string& text) {
  const Hash chance = sha256("result " + std::to_string(n));
  const std::string number = std::to_string(1'000'000'000 + n);
  result.set_version(version);
  result.set_status(v1::AiResult::STATUS_PRELIMINARY);
  result.set_run_id(view(chance).data(), sizeof(Uuid));
  coding(result.mutable_scenario(), "urn:sample:scenario", "screening");
  coding(result.add_code(), "http://loinc.org", "59776-5");
  result.mutable_value()->set_text(text);
  result.set_critical(false);
  result.set_gradable(true);
  v1::Identifier* subject = result.mutable_phi()->mutable_subject();
  subject->set_system("urn:sample:patient");
  subject->set_value(std::to_string(70'000'000 + patient));
  result.mutable_phi()->set_source_result_id(number);
  result.mutable_t_effective()->set_us(kFirstUs + static_cast<int64_t>(n) * 900'000);
  result.mutable_t_issued()->set_us(kFirstUs + static_cast<int64_t>(n) * 900'000 + 1'234'567 + version - 1);
  result.set_source_system("sample-ai");
}

}  // namespace

Corpus::Corpus(Facility fac, size_t record_bytes, Spread spread)
    : fac_(std::move(fac)),
      record_bytes_(record_bytes - kLengthPrefixBytes),
      spread_(spread),
      text_(observations()) {
  for (uint64_t k = 0; k < spread.models; ++k)
    models_.emplace_back(view(model_ref_of(model_body(k).model_def())));
}

Bytes Corpus::model(uint64_t k) const {
  v1::Body body = model_body(k);
  return finished(body, fac_, k);
}

Bytes Corpus::make(uint64_t n, uint32_t version, size_t text_bytes) const {
  v1::Body body;
  const size_t at = (n * 397 + version - 1) % (text_.size() - 1024);
  describe(*body.mutable_ai_result(), n, version, spread_.patients == 0 ? n / 20 : n % spread_.patients,
           "x" + text_.substr(at, text_bytes - 2) + "x");
  // Which model made a result has nothing to do with whom it is about, or where.
  body.mutable_ai_result()->set_model_ref(models_[(n * 0x9E3779B97F4A7C15 >> 32) % models_.size()]);
  return finished(body, fac_, n);
}

Bytes Corpus::record(uint64_t n, uint32_t version) {
  for (int tries = 0; tries < 4; ++tries) {
    Bytes out = make(n, version, text_bytes_);
    if (out.size() == record_bytes_) return out;
    text_bytes_ += record_bytes_ - out.size();
    if (text_bytes_ < 16 || text_bytes_ > 1000) break;
  }
  fail("records of " + std::to_string(record_bytes_) + " bytes cannot be made");
}

}  // namespace egret::bench
