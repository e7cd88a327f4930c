#include "schemas/record_document.h"

#include "schemas/chain.h"
#include "schemas/limits.h"
#include "schemas/record.pb.h"
#include "tests/unit/schemas/record_samples.h"

using namespace egret;
using namespace egret::samples;

namespace {

const DocumentFacts kFacts{"application/dicom", "scan.dcm", 4, {v1::PURPOSE_CARE}};

Bytes some_bytes(size_t n) {
  std::mt19937_64 chance(n);
  Bytes bytes(n, '\0');
  for (size_t i = 0; i < n; i += 1024) bytes[i] = static_cast<char>(chance());
  return bytes;
}

std::vector<Bytes> parts_of(const std::vector<NewBody>& bodies) {
  std::vector<Bytes> parts;
  for (size_t i = 1; i < bodies.size(); ++i) parts.push_back(bodies[i].bytes);
  return parts;
}

}  // namespace

TEST_CASE("a document of any size to 16 MiB comes out of its parts byte for byte", "[record]") {
  for (const size_t size : {size_t{0}, size_t{1}, kDocumentPartBytesMax, kDocumentPartBytesMax + 1,
                            kDocumentBytesMax}) {
    INFO(size);
    const Bytes bytes = some_bytes(size);
    const auto bodies = split_document(bytes, kFacts, kFac);
    REQUIRE(bodies.has_value());
    CHECK(bodies->size() == 1 + (size + kDocumentPartBytesMax - 1) / kDocumentPartBytesMax);
    CHECK(bodies->front().key.kind == Kind::source_document);
    for (const auto& body : *bodies) {
      REQUIRE(check_body(body.bytes, kFac).has_value());
      CHECK(body.lane == StreamId::result);
    }
    const auto joined = join_document(bodies->front().bytes, parts_of(*bodies));
    REQUIRE(joined.has_value());
    CHECK((*joined == bytes));
  }
}

TEST_CASE("a document over 16 MiB is refused with its size", "[record]") {
  const auto refused = split_document(Bytes(kDocumentBytesMax + 1, 'x'), kFacts, kFac);
  REQUIRE(!refused.has_value());
  CHECK(refused.error().code == Errc::too_large);
  CHECK(refused.error().text == "document: 16,777,217 bytes, at most 16,777,216");
}

TEST_CASE("the same document gives the same bodies, another one others", "[record]") {
  const Bytes bytes = some_bytes(70'000);
  const auto a = split_document(bytes, kFacts, kFac);
  const auto b = split_document(bytes, kFacts, kFac);
  REQUIRE(a->size() == 4);
  for (size_t i = 0; i < a->size(); ++i) CHECK((*a)[i].bytes == (*b)[i].bytes);
  const auto c = split_document(bytes + "x", kFacts, kFac);
  for (size_t i = 0; i < a->size(); ++i) CHECK((*a)[i].key != (*c)[i].key);
}

TEST_CASE("parts of another document, in another order, damaged or missing do not join",
          "[record]") {
  const auto bodies = split_document(some_bytes(70'000), kFacts, kFac);
  const Bytes head = bodies->front().bytes;
  auto parts = parts_of(*bodies);
  std::swap(parts[0], parts[1]);
  CHECK(join_document(head, parts).error().code == Errc::bad_input);
  std::swap(parts[0], parts[1]);
  CHECK(join_document(head, std::span(parts).first(2)).error().code == Errc::bad_input);
  CHECK(join_document(parts[0], parts).error().code == Errc::bad_input);
  CHECK(join_document(head, parts_of(*split_document(some_bytes(70'001), kFacts, kFac)))
            .error()
            .code == Errc::bad_input);
  parts[1][parts[1].size() - 100] ^= 1;
  CHECK(join_document(head, parts).error().code == Errc::corrupt);
}

TEST_CASE("a document needs a media type, and its name stays out of errors", "[record]") {
  DocumentFacts facts = kFacts;
  facts.media_type = "";
  CHECK(split_document("x", facts, kFac)
            .error()
            .text.rfind("source_document.media_type: missing", 0) == 0);
  facts = kFacts;
  facts.name = "Zhang\nWei";
  const auto refused = split_document("x", facts, kFac);
  REQUIRE(!refused.has_value());
  CHECK(refused.error().text ==
        "source_document.phi.name: 9 bytes, allowed text without control characters");
}
