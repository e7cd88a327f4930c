#include "cloud/result_index.h"

#include <set>

#include "schemas/record.pb.h"

namespace egret::cloud {
namespace {

// Negative times sort first.
uint64_t sortable(int64_t v) {
  return static_cast<uint64_t>(v) ^ (uint64_t{1} << 63);
}

Bytes coded_key(const CodeHash& code, int64_t t_us) {
  Bytes out = "k";
  out.append(view(code));
  put_u64(out, sortable(t_us));
  return out;
}

Bytes coded_key(const CodeHash& code, const CodedPlace& place) {
  Bytes out = coded_key(code, place.t_us);
  put_name(out, place.name);
  return out;
}

std::optional<CodedPlace> coded_place(ByteView key) {
  constexpr size_t kHead = 1 + sizeof(CodeHash) + sizeof(uint64_t);
  auto name = key.size() > kHead ? name_in(key.substr(kHead)) : std::nullopt;
  if (!name) return std::nullopt;
  return CodedPlace{static_cast<int64_t>(get_u64(key, kHead - sizeof(uint64_t)) ^ (uint64_t{1} << 63)), std::move(*name)};
}

Bytes run_key(const Facility& fac, const Uuid& run) {
  Bytes out = "u" + fac;
  out.push_back('\0');
  return out.append(view(run));
}

std::set<Bytes> keys_of(const ResultName& name, const IndexedRow& of) {
  std::set<Bytes> out;
  for (const PlacedStatement& s : of.row.statements) {
    if (const auto* version = std::get_if<Version>(&s.statement)) out.insert(run_key(name.fac, version->run).append(view(name.id)));
  }
  const PlacedStatement* shown = of.view.current && !of.view.retracted ? shown_version(of.row, of.view) : nullptr;
  if (shown == nullptr) return out;
  const auto& version = std::get<Version>(shown->statement);
  out.insert(coded_key(kEveryCode, {version.t_us, name}));
  out.insert(coded_key(code_of_model(version.model), {version.t_us, name}));
  for (const CodeHash& code : version.codes) out.insert(coded_key(code, {version.t_us, name}));
  return out;
}

}  // namespace

const PlacedStatement* shown_version(const ResultRow& row, const ResultView& view) {
  const PlacedStatement* best = nullptr;
  const auto rank = [&](const PlacedStatement& s) {
    const auto& version = std::get<Version>(s.statement);
    return std::tuple(version.number == view.number, version.number, version.body);
  };
  for (const PlacedStatement& s : row.statements) {
    if (std::holds_alternative<Version>(s.statement) && (best == nullptr || rank(*best) < rank(s))) best = &s;
  }
  return best;
}

void change_index(const ResultName& name, const IndexedRow& before, const IndexedRow& after, KvBatch& batch) {
  const std::set<Bytes> was = keys_of(name, before), is = keys_of(name, after);
  for (const Bytes& key : was) {
    if (!is.contains(key)) batch.erase(kViewSpace, key);
  }
  for (const Bytes& key : is) {
    if (!was.contains(key)) batch.put(kViewSpace, key, {});
  }
}

void put_definition(KvBatch& batch, const v1::ModelDef& model) {
  batch.put(kViewSpace, Bytes("D").append(view(model_ref_of(model))), model.SerializeAsString());
}

Result<std::optional<Bytes>> find_definition(const Kv& kv, const Hash& model) {
  return kv.get(kViewSpace, Bytes("D").append(view(model)));
}

Result<void> each_coded(const Kv& kv, const CodedRange& range, const std::function<bool(const CodedPlace&)>& each) {
  Bytes first = coded_key(range.code, range.from_us);
  Bytes end = range.to_us == INT64_MAX ? after_prefix(Bytes("k").append(view(range.code)) + Bytes(8, '\xfe')) : coded_key(range.code, range.to_us);
  if (range.after) (range.newest_first ? end : first) = coded_key(range.code, *range.after) + (range.newest_first ? Bytes() : Bytes(1, '\0'));
  if (end <= first) return {};
  std::optional<Error> damaged;
  const auto visit = [&](ByteView key, ByteView) {
    const auto place = coded_place(key);
    if (!place) damaged = damaged_view();
    return place && each(*place);
  };
  auto scanned = range.newest_first ? kv.scan_back(kViewSpace, first, end, visit) : kv.scan(kViewSpace, first, end, visit);
  if (!scanned) return scanned;
  if (damaged) return std::move(*damaged);
  return {};
}

Result<std::vector<ResultName>> results_of_run(const Kv& kv, const Facility& fac, const Uuid& run) {
  std::vector<ResultName> out;
  const Bytes first = run_key(fac, run);
  Bytes end = first + Bytes(sizeof(Uuid) + 1, '\xff');
  auto scanned = kv.scan(kViewSpace, first, end, [&](ByteView key, ByteView) {
    if (key.size() == first.size() + sizeof(Uuid)) out.push_back({fac, take<sizeof(Uuid)>(key.substr(first.size()))});
    return true;
  });
  if (!scanned) return std::move(scanned).error();
  return out;
}

Result<void> each_run(const Kv& kv, const std::optional<RunName>& after, const std::function<bool(const RunName&)>& each) {
  std::optional<RunName> last = after;
  const Bytes first = after ? run_key(after->fac, after->run) + Bytes(sizeof(Uuid) + 1, '\xff') : Bytes("u");
  return kv.scan(kViewSpace, first, "v", [&](ByteView key, ByteView) {
    const size_t end = key.find('\0');
    if (end == ByteView::npos || key.size() != end + 1 + 2 * sizeof(Uuid)) return true;
    RunName name{Facility(key.substr(1, end - 1)), take<sizeof(Uuid)>(key.substr(end + 1))};
    if (last && *last == name) return true;
    last = name;
    return each(*last);
  });
}

}  // namespace egret::cloud
