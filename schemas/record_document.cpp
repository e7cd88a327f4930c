#include "schemas/record_document.h"

#include <spdlog/fmt/fmt.h>

#include "schemas/chain.h"
#include "schemas/limits.h"
#include "schemas/record.pb.h"
#include "schemas/record_text.h"

namespace egret {
namespace {

v1::Body envelope_of(const DocumentFacts& facts) {
  v1::Body body;
  body.set_sens(facts.sens);
  for (const uint32_t purpose : facts.purpose) body.add_purpose(static_cast<v1::Purpose>(purpose));
  return body;
}

Error not_the_part(size_t index) {
  return {Errc::bad_input,
          fmt::format("document_part {}: not part {} of this document", index, index)};
}

}  // namespace

Result<std::vector<NewBody>> split_document(ByteView bytes, const DocumentFacts& facts,
                                            const Facility& fac) {
  if (bytes.size() > kDocumentBytesMax) {
    return Error{Errc::too_large,
                 fmt::format("document: {} bytes, at most {}", with_commas(bytes.size()),
                             with_commas(kDocumentBytesMax))};
  }
  const Hash hash = sha256(bytes);
  const size_t count = (bytes.size() + kDocumentPartBytesMax - 1) / kDocumentPartBytesMax;
  std::vector<NewBody> bodies;
  bodies.reserve(count + 1);
  v1::Body document = envelope_of(facts);
  auto& head = *document.mutable_source_document();
  head.set_sha256(Bytes(view(hash)));
  head.set_size_bytes(bytes.size());
  head.set_media_type(facts.media_type);
  head.set_parts(static_cast<uint32_t>(count));
  if (!facts.name.empty()) head.mutable_phi()->set_name(facts.name);
  auto made = make_body(document, fac);
  if (!made) return made.error();
  bodies.push_back(std::move(*made));
  for (size_t i = 0; i < count; ++i) {
    v1::Body body = envelope_of(facts);
    auto& part = *body.mutable_document_part();
    part.set_document(Bytes(view(hash)));
    part.set_index(static_cast<uint32_t>(i));
    part.set_count(static_cast<uint32_t>(count));
    part.set_data(Bytes(bytes.substr(i * kDocumentPartBytesMax, kDocumentPartBytesMax)));
    made = make_body(body, fac);
    if (!made) return made.error();
    bodies.push_back(std::move(*made));
  }
  return bodies;
}

Result<Bytes> join_document(ByteView document, std::span<const Bytes> parts) {
  v1::Body body;
  if (!body.ParseFromArray(document.data(), static_cast<int>(document.size())) ||
      !body.has_source_document()) {
    return Error{Errc::bad_input, "document: not the body of a source_document"};
  }
  const v1::SourceDocument head = body.source_document();
  if (parts.size() != head.parts() || head.size_bytes() > kDocumentBytesMax) {
    return Error{Errc::bad_input,
                 fmt::format("document: {} parts, but it says {}", parts.size(), head.parts())};
  }
  Bytes bytes;
  bytes.reserve(head.size_bytes());
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!body.ParseFromString(parts[i]) || !body.has_document_part()) return not_the_part(i);
    const auto& part = body.document_part();
    if (part.document() != head.sha256() || part.index() != i || part.count() != parts.size())
      return not_the_part(i);
    bytes += part.data();
  }
  if (bytes.size() != head.size_bytes() || view(sha256(bytes)) != head.sha256()) {
    return Error{Errc::corrupt,
                 fmt::format("document: its {} bytes do not have the size or SHA-256 it says",
                             with_commas(bytes.size()))};
  }
  return bytes;
}

}  // namespace egret
