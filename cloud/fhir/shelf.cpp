#include "cloud/fhir/shelf.h"

#include <spdlog/fmt/fmt.h>

#include <charconv>

#include "cloud/own_facility.h"
#include "cloud/view_tables.h"
#include "schemas/limits_fhir.h"
#include "schemas/record.pb.h"
#include "schemas/record_document.h"

namespace egret::cloud::fhir {
namespace {

Bytes id_key(std::string_view type, std::string_view id) {
  return Bytes("f").append(type).append(1, '\0').append(id).append(1, '\0');
}

Bytes version_key(std::string_view type, std::string_view id, uint32_t version) {
  Bytes out = id_key(type, id);
  put_u32(out, version);
  return out;
}

Bytes term_key(const Term& term, std::string_view id) {
  return Bytes("t").append(view(term)).append(id).append(1, '\0');
}

// id, zero byte, version at the end of a key.
std::optional<Stored> stored_in(ByteView tail) {
  const size_t end = tail.find('\0');
  if (end == ByteView::npos || tail.size() != end + 1 + sizeof(uint32_t)) return std::nullopt;
  return Stored{std::string(tail.substr(0, end)), get_u32(tail, end + 1), {}};
}

Result<Stored> decode(ByteView tail, ByteView value) {
  auto out = stored_in(tail);
  const auto place = decode_place(value);
  if (!out || !place) return damaged_view();
  out->place = *place;
  return std::move(*out);
}

// The document at a place, whole. Its parts are the records behind it.
Result<Bytes> document_at(BlockReader& reader, const Place& place, const v1::SourceDocument* known) {
  const Facility fac = kRegionFacility;
  const auto head = reader.at(fac, place);
  if (!head) return head.error();
  const auto parts = split_record(head->record);
  v1::Body body;
  if (!parts || !body.ParseFromArray(parts->body.data(), static_cast<int>(parts->body.size())) || !body.has_source_document())
    return Error{Errc::corrupt, "cloud store: a resource's document cannot be read; run `egret-cloud verify`"};
  if (known == nullptr) known = &body.source_document();
  if (known->size_bytes() > kFhirResourceBytesMax) return Error{Errc::too_large, "resource: larger than this server keeps"};
  const Bytes document(parts->body);
  std::vector<Bytes> pieces;
  for (uint32_t i = 0; i < known->parts(); i++) {
    const auto record = reader.at(fac, {place.key, place.seq + (1 + i)});
    if (!record) return record.error();
    const auto piece = split_record(record->record);
    if (!piece) return piece.error();
    pieces.emplace_back(piece->body);
  }
  return join_document(document, pieces);
}

}  // namespace

std::string document_name(std::string_view type, std::string_view id, uint32_t version) {
  return fmt::format("{}/{}/_history/{}", type, id, version);
}

std::optional<Ref> document_named(std::string_view name) {
  auto ref = reference_in(name);
  uint32_t version = 0;
  if (!ref || find_type(ref->type) == nullptr) return std::nullopt;
  const char* end = ref->version.data() + ref->version.size();
  const auto [stop, failed] = std::from_chars(ref->version.data(), end, version);
  if (failed != std::errc{} || stop != end || version == 0) return std::nullopt;
  return ref;
}

std::optional<Place> document_of(const Place& place, const v1::Body& body) {
  if (body.has_source_document()) return place;
  const uint64_t back = 1 + uint64_t{body.document_part().index()};
  if (!body.has_document_part() || back >= place.seq.value) return std::nullopt;
  return Place{place.key, {place.seq.value - back}};
}

Result<void> shelve(BlockReader& reader, const Facility& fac, const Place& place, const v1::SourceDocument& document, KvBatch& batch) {
  const auto name = fac == kRegionFacility && document.media_type() == kDocumentType ? document_named(document.phi().name()) : std::nullopt;
  if (!name) return {};
  const Type& type = *find_type(name->type);
  const uint32_t version = static_cast<uint32_t>(std::stoul(name->version));
  batch.put(kViewSpace, version_key(type.name, name->id, version), encode_place(place));
  const auto text = document_at(reader, place, &document);
  if (!text && text.error().code == Errc::store_failed) return text.error();
  const auto json = text ? parse_json(*text) : Result<Json>(text.error());
  if (!json) return {};
  for (const Term& term : terms_of(*json, type)) {
    Bytes key = term_key(term, name->id);
    put_u32(key, version);
    batch.put(kViewSpace, std::move(key), {});
  }
  return {};
}

Result<std::optional<Stored>> find_stored(const Kv& kv, std::string_view type, std::string_view id, uint32_t version) {
  using Found = std::optional<Stored>;
  const Bytes first = id_key(type, id);
  const size_t tail = first.size() - id.size() - 1;
  if (version != 0) {
    const Bytes key = version_key(type, id, version);
    const auto value = kv.get(kViewSpace, key);
    if (!value) return value.error();
    if (!*value) return Found();
    auto row = decode(ByteView(key).substr(tail), **value);
    return row ? Result<Found>(std::move(*row)) : Result<Found>(row.error());
  }
  Result<Found> out{Found()};
  auto scanned = kv.scan_back(kViewSpace, first, first + Bytes(sizeof(uint32_t), '\xff'), [&](ByteView key, ByteView value) {
    auto row = decode(key.substr(tail), value);
    out = row ? Result<Found>(std::move(*row)) : Result<Found>(row.error());
    return false;
  });
  if (!scanned) return std::move(scanned).error();
  return out;
}

Result<std::vector<Stored>> versions_of(const Kv& kv, std::string_view type, std::string_view id) {
  const Bytes first = id_key(type, id);
  std::vector<Stored> out;
  bool damaged = false;
  auto scanned = kv.scan(kViewSpace, first, first + Bytes(sizeof(uint32_t), '\xff'), [&](ByteView key, ByteView value) {
    auto row = decode(key.substr(first.size() - id.size() - 1), value);
    damaged = !row;
    if (row) out.push_back(std::move(*row));
    return !damaged;
  });
  if (!scanned) return std::move(scanned).error();
  if (damaged) return damaged_view();
  return out;
}

Result<Json> load(BlockReader& reader, const Place& place) {
  const auto text = document_at(reader, place, nullptr);
  if (!text) return text.error();
  return parse_json(*text);
}

Result<void> each_stored(const Kv& kv, const Type& type, const std::optional<Term>& term, std::string_view after, const std::function<bool(const Stored&)>& each) {
  const Bytes prefix = term ? Bytes("t").append(view(*term)) : Bytes("f").append(type.name).append(1, '\0');
  const Bytes first = after.empty() ? prefix : prefix + Bytes(after) + Bytes(1, '\1');
  const Bytes end = prefix + Bytes(1, '\xff');  // ids are ASCII
  std::optional<Error> failed;
  std::string last;
  auto scanned = kv.scan(kViewSpace, first, end, [&](ByteView key, ByteView) {
    const auto found = stored_in(key.substr(prefix.size()));
    if (!found || found->id == last) return true;
    last = found->id;
    const auto newest = find_stored(kv, type.name, last);
    if (!newest) failed = newest.error();
    return !failed && (!*newest || each(**newest));
  });
  if (!scanned) return scanned;
  if (failed) return std::move(*failed);
  return {};
}

}  // namespace egret::cloud::fhir
