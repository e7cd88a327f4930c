#include "cloud/changes.h"

#include <spdlog/fmt/fmt.h>

#include "cloud/feed.h"
#include "cloud/fhir/gate.h"
#include "cloud/json_text.h"
#include "schemas/chain.h"
#include "schemas/record.pb.h"
#include "schemas/record_json.h"

namespace egret::cloud {
namespace {

class Page {
 public:
  Page(const Kv& kv, const ChangesAsked& asked) : asked_(asked), sight_(kv) { out_.next = asked.after; }

  // False: it is full.
  Result<bool> block(uint64_t number, ByteView key) {
    const auto name = numbered_of(key);
    if (!name) return Error{Errc::corrupt, "cloud store: a block's key has another form"};
    const auto entries = sight_.reader.block(name->fac, name->key, name->seq);
    // A block of which nothing is left has nothing to tell.
    if (!entries && entries.error().code != Errc::not_found) return entries.error();
    const uint32_t from = number == asked_.after.number ? asked_.after.index : 0;
    for (uint32_t i = from; entries && i < entries->size(); i++) {
      if (full()) {
        // Before its first record a block is not begun: the place is the end of the one before.
        if (i > 0) out_.next = {asked_.after.gen, number, i};
        out_.more = true;
        return false;
      }
      const bool last = i + 1 == entries->size();
      const Cursor here{asked_.after.gen, number, last ? 0 : i + 1};
      if (auto told = line(here, name->fac, {name->key, name->seq + i}, (*entries)[i]); !told) return std::move(told).error();
    }
    out_.next = {asked_.after.gen, number, 0};
    return true;
  }
  ChangesPage take() { return std::move(out_); }

 private:
  bool full() const { return out_.count >= asked_.lines || out_.lines.size() >= asked_.bytes; }

  Result<void> line(const Cursor& here, const Facility& fac, const Place& place, const StoredEntry& entry) {
    // Duplicates, and what met a tombstone when it came, change nothing; what is quarantined took no effect.
    if (entry.kind != EntryKind::applied && entry.kind != EntryKind::erased) return {};
    const bool applied = entry.kind == EntryKind::applied;
    const auto parts = applied ? split_record(entry.record) : Result<RecordView>(RecordView{});
    if (!parts) return parts.error();
    const std::string_view kind = applied ? egret::name_of(kind_in(parts->body)) : std::string_view();
    const std::string content = applied ? hex(view(sha256(parts->body))) : std::string();
    const std::string_view change = applied ? "applied" : "deleted";
    ++out_.count;
    if (asked_.csv) {
      out_.lines += fmt::format("{},{},{},{},{:016x},{},{},{}\n", text_of(here), change, fac, kind, place.key.epoch.value, egret::name_of(place.key.stream), place.seq.value, content);
      return {};
    }
    out_.lines += fmt::format(R"({{"cursor":"{}","change":"{}","facility":"{}","epoch":"{:016x}","stream":"{}","seq":{})", text_of(here), change, fac, place.key.epoch.value,
                              egret::name_of(place.key.stream), place.seq.value);
    if (applied) out_.lines += fmt::format(R"(,"kind":"{}","content_sha256":"{}")", kind, content);
    const auto hidden = applied && asked_.records ? fhir::is_restricted(sight_, fac, place, parts->body) : Result<bool>(false);
    if (!hidden) return hidden.error();
    if (*hidden) out_.lines += ",\"restricted\":true";
    if (applied && asked_.records && !*hidden) {
      const auto json = json_from_body(parts->body);
      // A schema of a later program is kept and passed on as it is.
      out_.lines += json ? ",\"record\":" + *json : ",\"body_hex\":\"" + hex(parts->body) + "\"";
      show(fac, parts->body);
    }
    out_.lines += "}\n";
    return {};
  }
  // Results that it states something about; else the record itself.
  void show(const Facility& fac, ByteView body) {
    const Hash content = sha256(body);
    v1::Body parsed;
    const auto stated = parsed.ParseFromArray(body.data(), static_cast<int>(body.size())) ? statements_in(parsed, content) : std::vector<Stated>();
    for (const Stated& s : stated) out_.shown.push_back(subject_of(s.about));
    if (stated.empty()) out_.shown.push_back({AuditKind::record, fac, egret::take<sizeof(Uuid)>(view(content))});
  }

  const ChangesAsked& asked_;
  fhir::Sight sight_;
  ChangesPage out_;
};

}  // namespace

const char* changes_csv_head() { return "cursor,change,facility,kind,epoch,stream,seq,content_sha256"; }

Result<ChangesPage> changes(const Kv& kv, const ChangesAsked& asked) {
  const auto newest = newest_number(kv);
  if (!newest) return newest.error();
  if (asked.after.number > *newest) return Error{Errc::bad_input, "after: a number that this store has not given yet"};
  Page page(kv, asked);
  const uint64_t from = asked.after.index > 0 ? asked.after.number : asked.after.number + 1;
  std::optional<Error> failed;
  const auto scanned = kv.scan(kFeedSpace, feed_key(from), end_of_space(), [&](ByteView key, ByteView block) {
    const auto more = page.block(get_u64(key, 0), block);
    if (!more) failed = more.error();
    return more && *more;
  });
  if (!scanned) return scanned.error();
  if (failed) return std::move(*failed);
  return page.take();
}

}  // namespace egret::cloud
