#include "cloud/audit.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "cloud/decoded.h"
#include "cloud/json_text.h"
#include "cloud/merge/moment.h"
#include "cloud/results.h"
#include "cloud/row_bytes.h"
#include "cloud/shared_kv.h"
#include "schemas/chain.h"
#include "schemas/record_text.h"

namespace egret::cloud {
namespace {

constexpr int kTries = 50;       // against others that write, too
constexpr size_t kWrongKept = 200;
constexpr size_t kSubjectBytesMin = 1 + sizeof(uint32_t) + sizeof(Uuid);

Bytes head_key() { return "y"; }
Bytes entry_key(uint64_t number) { return table_row('x', number); }
Bytes root_key(uint32_t day) {
  Bytes out = table_prefix('y');
  put_u32(out, day);
  return out;
}
// 2026-11-30, quoted.
std::string day_text(uint32_t day) { return json_time({int64_t{day} * kDayUs}).substr(0, 11) + "\""; }
uint32_t day_of(WallTime at) { return static_cast<uint32_t>(std::max<int64_t>(0, at.us) / kDayUs); }

Error damaged() { return {Errc::corrupt, "cloud store: a row of the table \"audit\" is not as it was written: run egret-cloud audit --verify"}; }

Hash next_c(const Hash& before, uint64_t number, ByteView entry) {
  Bytes text("egret-audit-1");
  text.push_back('\0');
  text.append(view(before));
  put_u64(text, number);
  text.append(entry);
  return sha256(text);
}

Bytes encode(const AuditHead& head) { return RowWriter().u64(head.last).fixed(head.c).u64(head.expired).fixed(head.expired_c).take(); }

Result<AuditHead> decode_head(ByteView value) {
  RowReader in(value);
  AuditHead out;
  out.last = in.u64();
  out.c = in.fixed<32>();
  out.expired = in.u64();
  out.expired_c = in.fixed<32>();
  if (!in.done() || out.expired > out.last) return damaged();
  return out;
}

Result<AuditRow> decode_row(ByteView key, ByteView value) {
  if (key.size() != 1 + sizeof(uint64_t) || value.size() < sizeof(Hash)) return damaged();
  const size_t end = value.size() - sizeof(Hash);
  auto entry = decode_audit(value.substr(0, end));
  if (!entry) return std::move(entry).error();
  return AuditRow{get_u64(key, 1), std::move(*entry), take<sizeof(Hash)>(value.substr(end))};
}

Bytes signed_text(const AuditRoot& root) {
  Bytes text("egret-audit-root-1");
  text.push_back('\0');
  put_u32(text, root.day);
  put_u64(text, root.number);
  return text.append(view(root.c));
}

Bytes encode(const AuditRoot& root) { return RowWriter(160).u64(root.number).fixed(root.c).i64(root.at.us).fixed(root.signer.point).text(root.signature).take(); }

Result<AuditRoot> decode_root(ByteView key, ByteView value) {
  RowReader in(value);
  AuditRoot out;
  out.day = get_u32(key, 1);
  out.number = in.u64();
  out.c = in.fixed<32>();
  out.at.us = in.i64();
  out.signer.point = in.fixed<32>();
  out.signature = in.text();
  if (!in.done() || key.size() != 1 + sizeof(uint32_t)) return damaged();
  return out;
}

// Subjects over the limit go into entries of their own behind it.
std::vector<AuditEntry> in_pieces(const AuditEntry& entry) {
  std::vector<AuditEntry> out;
  for (size_t from = 0; out.empty() || from < entry.about.size(); from += kAuditSubjectsMax) {
    const size_t to = std::min(entry.about.size(), from + kAuditSubjectsMax);
    AuditEntry piece{out.empty() ? entry.step : AuditStep::more, entry.at, entry.who, entry.role, entry.what, entry.status, entry.count, {}};
    piece.about.assign(entry.about.begin() + static_cast<ptrdiff_t>(from), entry.about.begin() + static_cast<ptrdiff_t>(to));
    piece.who.resize(std::min(piece.who.size(), kAuditTextBytesMax));
    piece.what.resize(std::min(piece.what.size(), kAuditTextBytesMax));
    out.push_back(std::move(piece));
  }
  return out;
}

void add_to(KvBatch& batch, AuditHead& head, const AuditEntry& entry) {
  for (const AuditEntry& piece : in_pieces(entry)) {
    Bytes bytes = encode_audit(piece);
    head.c = next_c(head.c, ++head.last, bytes);
    batch.put(kMetaSpace, entry_key(head.last), bytes.append(view(head.c)));
  }
}

// `fill` makes the write from where the log is; tried again when another was faster. Nothing is written without a change.
Result<void> written(Kv& kv, const std::function<Result<void>(AuditHead&, KvBatch&)>& fill) {
  for (int i = 0;; i++) {
    const AtOnce at_once(kv);
    auto head = audit_head(kv);
    if (!head) return std::move(head).error();
    KvBatch batch;
    if (auto filled = fill(*head, batch); !filled) return filled;
    if (batch.empty()) return {};
    batch.put(kMetaSpace, head_key(), encode(*head));
    auto done = kv.write(batch, true);
    if (done || done.error().code != Errc::conflict || i == kTries) return done;
  }
}

}  // namespace

const char* name_of(AuditStep step) {
  switch (step) {
    case AuditStep::asked: return "asked";
    case AuditStep::done: return "done";
    case AuditStep::refused: return "refused";
    case AuditStep::read: return "read";
    case AuditStep::more: return "more";
    case AuditStep::retention: return "retention";
  }
  return "unknown";
}

const char* name_of(AuditKind kind) {
  switch (kind) {
    case AuditKind::result: return "result";
    case AuditKind::patient: return "patient";
    case AuditKind::model: return "model";
    case AuditKind::run: return "run";
    case AuditKind::record: return "record";
    case AuditKind::facility: return "facility";
    case AuditKind::order: return "order";
    case AuditKind::resource: return "resource";
  }
  return "unknown";
}

AuditSubject subject_of(const ResultName& name) { return {AuditKind::result, name.fac, name.id}; }
AuditSubject subject_of_patient(const Hash& pseudonym) { return {AuditKind::patient, "", take<sizeof(Uuid)>(view(pseudonym))}; }
AuditSubject subject_of_order(uint64_t number) {
  Bytes id(sizeof(Uuid) - sizeof(number), '\0');
  put_u64(id, number);
  return {AuditKind::order, "", take<sizeof(Uuid)>(id)};
}

std::string text_of(const AuditSubject& s) {
  switch (s.kind) {
    case AuditKind::result: return "result " + s.of + "/" + egret::text_of(s.id);
    case AuditKind::run: return "run " + s.of + "/" + egret::text_of(s.id);
    case AuditKind::record: return "record " + s.of + "/" + hex(view(s.id));
    case AuditKind::facility: return "facility " + s.of;
    case AuditKind::order: return fmt::format("order {}", get_u64(view(s.id), sizeof(Uuid) - sizeof(uint64_t)));
    case AuditKind::resource: return s.of + " #" + hex(view(s.id));
    default: return std::string(name_of(s.kind)) + " " + hex(view(s.id));
  }
}

// ---- rows ----

Bytes encode_audit(const AuditEntry& e) {
  RowWriter out(96 + 40 * e.about.size());
  out.u8(uint8_t(e.step)).i64(e.at.us).text(e.who).text(e.role).text(e.what).u32(e.status).u32(e.count);
  out.u32(static_cast<uint32_t>(e.about.size()));
  for (const AuditSubject& s : e.about) out.u8(uint8_t(s.kind)).text(s.of).fixed(s.id);
  return out.take();
}

Result<AuditEntry> decode_audit(ByteView bytes) {
  RowReader in(bytes);
  AuditEntry out;
  out.step = AuditStep(in.u8());
  out.at.us = in.i64();
  out.who = in.text();
  out.role = in.text();
  out.what = in.text();
  out.status = in.u32();
  out.count = in.u32();
  const uint32_t about = in.u32();
  if (about > kAuditSubjectsMax || !in.holds(about, kSubjectBytesMin)) return damaged();
  for (uint32_t i = 0; i < about && in.ok(); i++) {
    AuditSubject s;
    s.kind = AuditKind(in.u8());
    s.of = in.text();
    s.id = in.fixed<sizeof(Uuid)>();
    if (s.kind < AuditKind::result || s.kind > AuditKind::resource) return damaged();
    out.about.push_back(std::move(s));
  }
  if (!in.done() || out.step < AuditStep::asked || out.step > AuditStep::retention) return damaged();
  return out;
}

// ---- writing and walking ----

Result<void> append_audit(Kv& kv, std::span<const AuditEntry> entries) {
  return written(kv, [&](AuditHead& head, KvBatch& batch) -> Result<void> {
    for (const AuditEntry& entry : entries) add_to(batch, head, entry);
    return {};
  });
}

Result<AuditHead> audit_head(const Kv& kv) {
  const auto stored = kv.get(kMetaSpace, head_key());
  if (!stored) return stored.error();
  return *stored ? decode_head(**stored) : Result<AuditHead>(AuditHead{});
}

namespace {

Result<void> walk(const Kv& kv, uint64_t after, bool back, const std::function<bool(const AuditRow&)>& each) {
  std::optional<Error> failed;
  const auto visit = [&](ByteView key, ByteView value) {
    const auto row = decode_row(key, value);
    if (!row) failed = row.error();
    return row && each(*row);
  };
  const Bytes end = after_prefix(table_prefix('x'));
  if (after == UINT64_MAX) return {};
  auto scanned = back ? kv.scan_back(kMetaSpace, entry_key(0), end, visit) : kv.scan(kMetaSpace, entry_key(after + 1), end, visit);
  if (!scanned) return scanned;
  if (failed) return std::move(*failed);
  return {};
}

}  // namespace

Result<void> each_audit(const Kv& kv, uint64_t after, const std::function<bool(const AuditRow&)>& each) { return walk(kv, after, false, each); }
Result<void> each_audit_back(const Kv& kv, const std::function<bool(const AuditRow&)>& each) { return walk(kv, 0, true, each); }

// ---- roots ----

bool is_genuine(const AuditRoot& root) { return verify(root.signer, signed_text(root), root.signature); }

Result<std::optional<AuditRoot>> make_root(Kv& kv, const SitePrivateKey& key, WallTime now) {
  const AtOnce at_once(kv);
  const uint32_t day = day_of(now);
  const auto there = kv.get(kMetaSpace, root_key(day));
  const auto head = audit_head(kv);
  if (!there || !head) return there ? head.error() : there.error();
  if (*there) return std::optional<AuditRoot>();
  AuditRoot root{day, head->last, head->c, now, key.public_key(), {}};
  const auto signature = key.sign(signed_text(root));
  root.signature = Bytes(view(signature));
  KvBatch batch;
  batch.put(kMetaSpace, root_key(day), encode(root));
  if (auto done = kv.write(batch, true); !done) return std::move(done).error();
  return std::optional<AuditRoot>(std::move(root));
}

Result<std::vector<AuditRoot>> audit_roots(const Kv& kv) {
  return decoded(kv, kMetaSpace, head_key() + Bytes(1, '\0'), after_prefix(table_prefix('y')), decode_root);
}

// ---- proving ----

namespace {

class Prover {
 public:
  explicit Prover(const Kv& kv) : kv_(kv) {}

  Result<AuditVerdict> run(const std::optional<AuditKnown>& known, const std::optional<SitePublicKey>& signer) {
    const auto head = audit_head(kv_);
    if (head) out_.head = *head;
    else if (head.error().code == Errc::corrupt) wrong("how far the log is cannot be read");
    else return head.error();
    collect_roots(signer);
    if (known) wanted_.emplace(known->number, std::pair(known->c, std::string("what was noted down")));
    at_ = out_.head.expired;
    c_ = out_.head.expired_c;
    check_wanted();
    const Bytes first = table_prefix('x');
    auto scanned = kv_.scan(kMetaSpace, first, after_prefix(first), [&](ByteView key, ByteView value) {
      entry(key, value);
      return true;
    });
    if (!scanned) return std::move(scanned).error();
    if (head) check_end();
    for (const auto& [number, what] : wanted_) {
      if (number > at_ && number > out_.head.last) wrong(fmt::format("the end is cut off: {} knows entry {}, the log ends with {}", what.second, number, at_));
    }
    return std::move(out_);
  }

 private:
  void wrong(std::string what) {
    if (out_.wrong.size() < kWrongKept) out_.wrong.push_back("audit log: " + std::move(what));
  }

  void collect_roots(const std::optional<SitePublicKey>& signer) {
    const auto roots = audit_roots(kv_);
    if (!roots) return wrong("the roots of days cannot be read");
    out_.roots = roots->size();
    for (const AuditRoot& root : *roots) {
      const std::string name = "the root of " + day_text(root.day);
      if (!is_genuine(root)) wrong(name + " is not signed by the one it names");
      else if (signer && root.signer != *signer) wrong(name + " is signed by another key than the one given");
      else wanted_.emplace(root.number, std::pair(root.c, name));
    }
  }

  // What others know of the entry that was reached.
  void check_wanted() {
    const auto [from, to] = wanted_.equal_range(at_);
    for (auto one = from; one != to; ++one) {
      if (one->second.first != c_) wrong(fmt::format("entry {} is another one than {} says: the log was made anew up to there", at_, one->second.second));
    }
  }

  void entry(ByteView key, ByteView value) {
    const uint64_t number = get_u64(key, 1);
    if (key.size() != 1 + sizeof(uint64_t) || number <= out_.head.expired) return wrong("a row that has no place in the log");
    if (number != at_ + 1) {
      wrong(number == at_ + 2 ? fmt::format("entry {} is not there", at_ + 1) : fmt::format("entries {} to {} are not there", at_ + 1, number - 1));
      joined_ = false;
    }
    ++out_.entries;
    at_ = number;
    if (value.size() < sizeof(Hash)) {
      joined_ = false;
      return wrong(fmt::format("entry {} cannot be read", number));
    }
    const size_t end = value.size() - sizeof(Hash);
    const Hash stated = take<sizeof(Hash)>(value.substr(end));
    if (joined_ && next_c(c_, number, value.substr(0, end)) != stated) wrong(fmt::format("entry {} was changed, or the one before it", number));
    else if (!decode_audit(value.substr(0, end))) wrong(fmt::format("entry {} cannot be read", number));
    joined_ = true;
    c_ = stated;
    check_wanted();
  }

  void check_end() {
    if (at_ < out_.head.last) wrong(at_ + 1 == out_.head.last ? fmt::format("the end is cut off: entry {} is not there", out_.head.last) : fmt::format("the end is cut off: entries {} to {} are not there", at_ + 1, out_.head.last));
    else if (at_ > out_.head.last) wrong(fmt::format("entries above {}, which is the last that was written", out_.head.last));
    else if (c_ != out_.head.c) wrong(fmt::format("entry {} was changed, or the end of the log", at_));
  }

  const Kv& kv_;
  AuditVerdict out_;
  std::multimap<uint64_t, std::pair<Hash, std::string>> wanted_;
  uint64_t at_ = 0;
  Hash c_{};
  bool joined_ = true;  // c_ is of the entry right before
};

}  // namespace

Result<AuditVerdict> verify_audit(const Kv& kv, const std::optional<AuditKnown>& known, const std::optional<SitePublicKey>& signer) {
  return Prover(kv).run(known, signer);
}

std::optional<AuditKnown> audit_known(std::string_view text) {
  const size_t colon = std::min(text.find(':'), text.size());
  AuditKnown out;
  const auto [stop, failed] = std::from_chars(text.data(), text.data() + colon, out.number);
  const auto bytes = bytes_from_hex(text.substr(std::min(colon + 1, text.size())));
  if (failed != std::errc{} || stop != text.data() + colon || !bytes || bytes->size() != sizeof(Hash)) return std::nullopt;
  out.c = take<sizeof(Hash)>(*bytes);
  return out;
}

// ---- retention ----

Result<uint64_t> expire_audit(Kv& kv, int64_t days, WallTime now, size_t most) {
  if (days <= 0) return uint64_t{0};
  const int64_t before_us = now.us - std::max(days, kAuditDaysMin) * kDayUs;
  uint64_t gone = 0;
  auto done = written(kv, [&](AuditHead& head, KvBatch& batch) -> Result<void> {
    gone = 0;
    // An entry that is young keeps all that follow it, whatever a clock said.
    auto walked = each_audit(kv, head.expired, [&](const AuditRow& row) {
      if (row.entry.at.us >= before_us || gone == most) return false;
      head.expired = row.number;
      head.expired_c = row.c;
      batch.erase(kMetaSpace, entry_key(row.number));
      ++gone;
      return true;
    });
    if (!walked) return walked;
    if (gone > 0) add_to(batch, head, {AuditStep::retention, now, "", "", fmt::format("kept for {} days", std::max(days, kAuditDaysMin)), 0, static_cast<uint32_t>(gone), {}});
    return {};
  });
  if (!done) return std::move(done).error();
  return gone;
}

// ---- reading ----

bool AuditAsked::wants(const AuditEntry& entry) const {
  return (who.empty() || who == entry.who) && (!about || std::ranges::find(entry.about, *about) != entry.about.end());
}

Result<AuditReaders> audit_readers(const Kv& kv, size_t most, const std::function<Result<bool>(const ResultName&)>& touched) {
  std::map<ResultName, bool> known;
  struct Of {
    AuditReader reader;
    std::set<ResultName> results;
  };
  std::map<std::pair<std::string, std::string>, Of> found;
  AuditReaders out;
  size_t looked = 0;
  std::optional<Error> failed;
  auto walked = each_audit_back(kv, [&](const AuditRow& row) {
    if (looked++ == most) {
      out.from = row.number + 1;
      return false;
    }
    const AuditEntry& e = row.entry;
    const bool shown = (e.step == AuditStep::read || e.step == AuditStep::done || e.step == AuditStep::more) && e.status < 300;
    Of* of = nullptr;
    for (const AuditSubject& s : e.about) {
      if (!shown || s.kind != AuditKind::result) continue;
      const ResultName name{s.of, s.id};
      auto [at, fresh] = known.try_emplace(name, false);
      if (fresh) {
        const auto is = touched(name);
        if (!is) failed = is.error();
        if (!is) return false;
        at->second = *is;
      }
      if (!at->second) continue;
      if (of == nullptr) {
        of = &found[{e.who, e.role}];
        ++of->reader.reads;
        of->reader.first = e.at;
        if (of->reader.last.us == 0) of->reader.last = e.at;
      }
      of->results.insert(name);
    }
    return true;
  });
  if (!walked) return std::move(walked).error();
  if (failed) return std::move(*failed);
  for (auto& [name, of] : found) {
    of.reader.who = name.first;
    of.reader.role = name.second;
    of.reader.results = of.results.size();
    out.readers.push_back(std::move(of.reader));
  }
  return out;
}

std::string to_json(const AuditRow& row) {
  const AuditEntry& e = row.entry;
  std::string about;
  for (const AuditSubject& s : e.about) about += (about.empty() ? "" : ",") + json_string(text_of(s));
  return fmt::format(R"({{"number":{},"at":{},"step":"{}","who":{},"role":{},"what":{},"status":{},"count":{},"about":[{}],"c":"{}"}})", row.number, json_time(e.at), name_of(e.step),
                     e.who.empty() ? "null" : json_string(e.who), e.role.empty() ? "null" : json_string(e.role), json_string(e.what), e.status, e.count, about, hex(view(row.c)));
}

std::string to_json(const AuditRoot& root) {
  return fmt::format(R"({{"day":{},"number":{},"c":"{}","at":{},"signer":"{}","signature":"{}"}})", day_text(root.day), root.number, hex(view(root.c)), json_time(root.at),
                     hex(view(root.signer.point)), hex(root.signature));
}

std::string to_json(const AuditReader& r) {
  return fmt::format(R"({{"who":{},"role":{},"results":{},"reads":{},"first":{},"last":{}}})", r.who.empty() ? "null" : json_string(r.who), r.role.empty() ? "null" : json_string(r.role), r.results, r.reads,
                     json_time(r.first), json_time(r.last));
}

}  // namespace egret::cloud
