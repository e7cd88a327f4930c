// Record samples: JSON of every kind for the tests of the record model, and ways to bend it.
// Promises: full_result() states every field of an AiResult; all of them are records that the door
// takes. Leaves to others: what must come of a bent one.
#pragma once

#include <simdjson.h>
#include <zstd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "schemas/record_json.h"

namespace egret::samples {

inline const Facility kFac = "clinic-7";
inline const std::string kHash(64, 'a');
inline const std::string kUuid = "6f1c1c52-0b58-4f0e-9d5a-3f7c1a2b3c4d";

inline std::string envelope(const std::string& statement) {
  return R"({"sens":4,"purpose":["care","quality"],)" + statement + "}";
}

inline std::string minimal_result(
    const std::string& more = "",
    const std::string& value = R"({"quantity":{"value":1.50,"unit":"mg/dL"}})") {
  return envelope(
      R"("ai_result":{"version":1,"status":"preliminary","run_id":")" + kUuid +
      R"(","scenario":{"system":"urn:scenarios","code":"dr"},"code":[{"system":"http://loinc.org","code":"71490-7"}],)"
      R"("value":)" +
      value + R"(,"critical":false,"gradable":true,"model_ref":")" + kHash +
      R"(","t_effective":"2026-03-01T08:30:00+08:00","t_issued":"2026-03-01T08:30:05.5+08:00",)"
      R"("phi":{"subject":{"system":"urn:site","value":"P-1"}})" +
      more + "}");
}

// Every field of an AiResult.
inline std::string full_result() {
  const std::string coding = R"({"system":"urn:s","code":"c","display":"d\u00e9","version":"2"})";
  return envelope(
      R"("source":{"document":")" + kHash + R"(","item":"OBX[3]"},"ai_result":{"logical_id":")" +
      kUuid + R"(","version":3,"status":"corrected","status_reason":)" + coding + R"(,"run_id":")" +
      kUuid + R"(","scenario":)" + coding + R"(,"code":[)" + coding + "," + coding +
      R"(],"value":{"ratio":{"numerator":{"value":1e5,"unit":"1"},"denominator":{"value":0.000000000000000001,"unit":"1"}}},)"
      R"("critical":true,"critical_code":)" +
      coding +
      R"(,"ack_deadline_s":600,"prob":0.940000000000000001,"prob_kind":"calibrated",)"
      R"("threshold":0.5,"ci_lo":0.90,"ci_hi":0.99,"gradable":true,"quality":1,"quality_reason":)" +
      coding + R"(,"model_ref":")" + kHash +
      R"(","phi":{"subject":{"system":"urn:site","value":"P-1"},"accession":"A-1","placer_no":"PL-1",)"
      R"("encounter_no":"E-1","study_uid":"1.2.840.1","series_uid":["1.2.3","1.2.4"],"sop_uid":["1.2.3.0"],"waveform_id":"W-1",)"
      R"("specimen_id":"S-1","conclusion":"line one\nline \"two\"","sex":"female","birth_year":1961,"source_result_id":"R-1"},)"
      R"("t_effective":"2026-03-01T08:30:00Z","t_effective_end":"2026-03-01T08:31:00.000001-03:30","t_issued":"2026-03-01T08:32:00Z",)"
      R"("t_infer":"2026-03-01T08:31:30Z","t_infer_end":"2026-03-01T08:31:31Z","device_time":"2026/3/1 8:30","source_system":"ai-box",)"
      R"("item_no":2,"supersedes":[")" +
      kUuid + R"("],"derived_from":[")" + kUuid + R"("],"subj_pseudo":")" + kHash +
      R"(","modality":)" + coding + R"(,"body_site":)" + coding + R"(,"laterality":)" + coding +
      R"(,"components":[{"code":[)" + coding + R"(],"value":{"text":"ok"},"prob":0.1},{"code":[)" +
      coding + R"(],"absent_reason":)" + coding +
      R"(}],"interp":["aa","pos"],"gateway":{"edge_id":"gw","agent_version":"9"},"acq_device":{"udi":"u","serial":"s","maker":"m","model":"x"},)"
      R"("latency_ms":120,"queue_ms":0,"evidence":[{"role":"heatmap","sop_uid":"1.2.5","size_bytes":0,"mime":"image/png"}],"recognition":)" +
      coding + "}");
}

// One record of every kind, and every kind of value.
inline std::vector<std::string> all_kinds() {
  const std::string phi_note = R"("phi":{"note":"because\tof this"})";
  const std::string t = R"("t":"2026-03-01T09:00:00+08:00")";
  return {
      full_result(),
      minimal_result(),
      minimal_result("", R"({"integer":-9223372036854775808})"),
      minimal_result("", R"({"boolean":false})"),
      minimal_result("", R"({"text":"grade \u4e8c \ud83d\ude00"})"),
      minimal_result("", R"({"coding":{"system":"http://loinc.org","code":"LA18643-9"}})"),
      envelope(
          R"("review":{"logical_id":")" + kUuid +
          R"(","version_seen":2,"result_facility":"clinic-8","reviewer":"r-17","role":"specialist",)"
          R"("verdict":"agreed_with_changes","new_value":{"integer":0},"reason":{"system":"s","code":"c"},"site":"cloud",)" +
          t + R"(,"signature":"AAEC/w==",)" + phi_note + "}"),
      envelope(
          R"("identity_link":{"phi":{"a":{"system":"s","value":"1"},"b":{"system":"s","value":"2"}},"verdict":"not_same","authority":"mpi",)" +
          t + "}"),
      envelope(R"("retraction":{"logical_id":")" + kUuid +
               R"(","version":2,"reason":"wrong_patient",)" + t + R"(,"by":"r-1",)" + phi_note +
               "}"),
      envelope(
          R"("model_def":{"model_id":"m","vendor":"v","name":"n","version":"1.2","weights_sha256":")" +
          kHash +
          R"(","udi_di":"u","registration_no":"r","runtime":"onnx","operating_point":{"threshold_set":"t1"},"intended_use":"for\nuse",)"
          R"("autonomy":"triage","model_card":{"url":"https://example.org/card","sha256":")" +
          kHash + R"(","format":"hf_markdown"},"fl_round":0})"),
      envelope(
          R"("telemetry_batch":{"resource":{"edge_id":"e","host":"h","boot_id":")" + kUuid +
          R"(","run":18446744073709551615,"attributes":{"zone":"b","area":"a"}},"series":[)"
          R"({"name":"cpu","unit":"1","kind":"gauge","labels":{"core":"0"},"points":[[10,1.0],[20,2],[30,-0.25,["historical","estimated"]],[40,null]]},)"
          R"({"name":"n","unit":"1","kind":"sum","temporality":"cumulative","monotonic":true,"start_ns":5,"points":[[10,9223372036854775807]]},)"
          R"({"name":"h","unit":"ms","kind":"histogram","temporality":"delta","start_ns":0,"points":[[10,{"bounds":[0.5,10],"counts":[1,0,3],"sum":7.5}],[11,null]]},)"
          R"({"name":"e","unit":"ms","kind":"exp_histogram","temporality":"delta","start_ns":0,"points":[[10,{"scale":-2,"zero_count":1,"positive":{"offset":-3,"counts":[1,2]}}]]},)"
          R"({"name":"door","unit":"1","kind":"state","points":[[10,"open"],[20,"shut",["historical"]]]}]})"),
      envelope(
          R"("source_document":{"sha256":")" + kHash +
          R"(","size_bytes":40000,"media_type":"application/dicom; x=1","parts":2,"phi":{"name":"scan.dcm"}})"),
      envelope(R"("document_part":{"document":")" + kHash +
               R"(","index":1,"count":2,"data":"AAEC"})"),
      envelope(R"("agent_event":{"boot_id":")" + kUuid +
               R"(","counter":1,"name":"agent.started","severity":"info",)" + t +
               R"(,"detail":"up","attributes":{"v":"1"}})"),
  };
}

// `text` with its one occurrence of `from` replaced.
inline std::string with(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

// The same JSON with the members of every object in another order.
inline std::string shuffled(std::string_view json, std::mt19937& chance) {
  if (json.find('{') == std::string_view::npos) return std::string(json);
  simdjson::ondemand::parser parser;
  const simdjson::padded_string padded(json);
  auto document = parser.iterate(padded);
  std::vector<std::string> parts;
  const bool object = json.front() == '{';
  if (object) {
    for (auto member : document.get_object()) {
      const std::string key(member.unescaped_key().value());
      parts.push_back("\"" + key + "\": " +
                      shuffled(std::string_view(simdjson::to_json_string(member.value())), chance));
    }
    std::shuffle(parts.begin(), parts.end(), chance);
  } else if (json.front() == '[') {
    for (auto item : document.get_array())
      parts.push_back(shuffled(std::string_view(simdjson::to_json_string(item)), chance));
  } else {
    return std::string(json);
  }
  std::string out;
  for (const auto& part : parts) out += (out.empty() ? "" : ",") + part;
  return (object ? "{" : "[") + out + (object ? "}" : "]");
}

inline std::string read_file(const std::string& path) {
  std::ifstream in(std::string(EGRET_SOURCE_DIR) + "/" + path, std::ios::binary);
  REQUIRE(in);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

inline std::string read_zstd(const std::string& path) {
  const std::string packed = read_file(path);
  const auto size = ZSTD_getFrameContentSize(packed.data(), packed.size());
  std::string out;
  if (size != ZSTD_CONTENTSIZE_UNKNOWN && size != ZSTD_CONTENTSIZE_ERROR) {
    out.resize(size);
    REQUIRE(ZSTD_decompress(out.data(), out.size(), packed.data(), packed.size()) == size);
    return out;
  }
  ZSTD_DStream* stream = ZSTD_createDStream();
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  std::string piece(1 << 16, '\0');
  while (in.pos < in.size) {
    ZSTD_outBuffer o{piece.data(), piece.size(), 0};
    REQUIRE(!ZSTD_isError(ZSTD_decompressStream(stream, &o, &in)));
    out.append(piece, 0, o.pos);
  }
  ZSTD_freeDStream(stream);
  return out;
}

inline Bytes body_of(const std::string& json) {
  auto made = body_from_json(json, kFac);
  REQUIRE((made ? "" : made.error().text) == "");
  return made->bytes;
}

}  // namespace egret::samples
