#include "cloud/model_uses.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <set>

#include "cloud/json_text.h"
#include "cloud/merge/moment.h"
#include "cloud/row_bytes.h"
#include "schemas/record_text.h"

namespace egret::cloud {
namespace {

constexpr size_t kUseHead = 1 + sizeof(Hash) + 8;  // in front of a name
constexpr uint8_t kCritical = 1, kRetracted = 2;

// Negative times sort first.
uint64_t sortable(int64_t v) {
  return static_cast<uint64_t>(v) ^ (uint64_t{1} << 63);
}
int64_t unsortable(uint64_t v) {
  return static_cast<int64_t>(v ^ (uint64_t{1} << 63));
}

Bytes timed_key(char table, const Hash& model, int64_t t) {
  Bytes out(1, table);
  out.append(view(model));
  put_u64(out, sortable(t));
  return out;
}

Bytes use_key(char table, const Hash& model, int64_t t_us, const ResultName& name) {
  Bytes out = timed_key(table, model, t_us);
  put_name(out, name);
  return out;
}

int64_t day_of(int64_t t_us) {
  return t_us >= 0 ? t_us / kDayUs : -((kDayUs - 1 - t_us) / kDayUs);
}

Bytes count_key(const Hash& model, int64_t day, const Facility& fac) {
  return timed_key('n', model, day).append(fac);
}

void put_facets(RowWriter& out, const Facets& facets) {
  out.u8(uint8_t(facets.status)).u8(facets.verdict);
  out.u8((facets.critical ? kCritical : 0) | (facets.retracted ? kRetracted : 0));
}

Facets read_facets(RowReader& in) {
  Facets out;
  out.status = ResultStatus(in.u8());
  out.verdict = in.u8();
  const uint8_t flags = in.u8();
  out.critical = (flags & kCritical) != 0;
  out.retracted = (flags & kRetracted) != 0;
  return out;
}

// The times at which a result's versions by one model are effective: the first one first.
using Times = std::map<Hash, std::set<int64_t>>;
Times times_of(const ResultRow& row) {
  Times out;
  for (const PlacedStatement& s : row.statements) {
    if (const auto* version = std::get_if<Version>(&s.statement)) out[version->model].insert(version->t_us);
  }
  return out;
}

Result<std::map<Facets, int64_t>> read_counts(const Kv& kv, const Bytes& key) {
  std::map<Facets, int64_t> out;
  const auto stored = kv.get(kViewSpace, key);
  if (!stored) return stored.error();
  if (!*stored) return out;
  RowReader in(**stored);
  while (in.ok() && !in.done()) {
    const Facets facets = read_facets(in);
    out[facets] = in.i64();
  }
  if (!in.done()) return damaged_view();
  return out;
}

// Rows of one table of one model in [from, to), until `each` returns false.
using EachRow = std::function<bool(int64_t t_us, ResultName name, RowReader& value)>;
Result<void> rows_between(const Kv& kv, char table, const Hash& model, int64_t from_us, int64_t to_us, const EachRow& each) {
  if (from_us >= to_us) return {};
  std::optional<Error> damaged;
  auto scanned = kv.scan(kViewSpace, timed_key(table, model, from_us), timed_key(table, model, to_us), [&](ByteView key, ByteView value) {
    auto name = key.size() > kUseHead ? name_in(key.substr(kUseHead)) : std::nullopt;
    RowReader in(value);
    const bool goes_on = name && each(unsortable(get_u64(key, kUseHead - 8)), std::move(*name), in);
    if (!name || !in.ok()) damaged = damaged_view();
    return goes_on && !damaged;
  });
  if (!scanned) return scanned;
  if (damaged) return std::move(*damaged);
  return {};
}

class Counter {
 public:
  Counter(const Kv& kv, const RecallScope& scope) : kv_(kv), scope_(scope) {}

  Result<void> count(const Hash& model) {
    // Whole days are counted already; what is left of a day at either end is walked.
    const int64_t first = day_of(scope_.from_us + kDayUs - 1), end = day_of(scope_.to_us);
    if (first >= end) {
      if (auto walked = walk(model, scope_.from_us, scope_.to_us); !walked) return walked;
    } else {
      if (auto walked = walk(model, scope_.from_us, first * kDayUs); !walked) return walked;
      if (auto added = add_days(model, first, end); !added) return added;
      if (auto walked = walk(model, end * kDayUs, scope_.to_us); !walked) return walked;
    }
    return later(model);
  }
  // A result that several models of the scope touched is one.
  Result<void> free_of_repeats() {
    if (scope_.models.size() < 2) return {};
    std::optional<Error> failed;
    auto scanned = kv_.scan(kViewSpace, "b", "c", [&](ByteView key, ByteView) {
      const auto name = name_in(key.substr(1));
      const auto row = name && wanted(name->fac) ? find_result(kv_, *name) : Result<std::optional<ResultRow>>(std::nullopt);
      if (!row) failed = row.error();
      if (!row || !*row) return !failed;
      const uint64_t touching = std::ranges::count_if(times_of(**row), [&](const auto& model) { return touched(model.first, model.second); });
      if (touching > 1) out_[name->fac].by_facets[facets_of((*row)->view())] -= touching - 1;
      return true;
    });
    if (!scanned) return scanned;
    if (failed) return std::move(*failed);
    return {};
  }
  std::map<Facility, Touched> take() { return std::move(out_); }

 private:
  bool touched(const Hash& model, const std::set<int64_t>& times) const {
    const auto at = times.lower_bound(scope_.from_us);
    return std::ranges::binary_search(scope_.models, model) && at != times.end() && *at < scope_.to_us;
  }
  bool wanted(const Facility& fac) const { return scope_.fac.empty() || scope_.fac == fac; }
  Result<void> walk(const Hash& model, int64_t from_us, int64_t to_us) {
    return rows_between(kv_, 'm', model, from_us, to_us, [&](int64_t, ResultName name, RowReader& in) {
      const Facets facets = read_facets(in);
      if (wanted(name.fac)) ++out_[name.fac].by_facets[facets];
      return true;
    });
  }
  Result<void> add_days(const Hash& model, int64_t first, int64_t end) {
    bool damaged = false;
    auto scanned = kv_.scan(kViewSpace, timed_key('n', model, first), timed_key('n', model, end), [&](ByteView key, ByteView value) {
      const Facility fac(key.substr(kUseHead));
      RowReader in(value);
      while (wanted(fac) && in.ok() && !in.done()) {
        const Facets facets = read_facets(in);
        out_[fac].by_facets[facets] += in.u64();
      }
      damaged = !in.ok();
      return !damaged;
    });
    if (!scanned) return scanned;
    if (damaged) return damaged_view();
    return {};
  }
  // Results whose first time lies before the range, and another one within.
  Result<void> later(const Hash& model) {
    std::set<ResultName> seen;
    return rows_between(kv_, 'x', model, scope_.from_us, scope_.to_us, [&](int64_t, ResultName name, RowReader& in) {
      const Facets facets = read_facets(in);
      const bool counted = in.i64() >= scope_.from_us;
      if (!counted && wanted(name.fac) && seen.insert(name).second) ++out_[name.fac].by_facets[facets];
      return true;
    });
  }

  const Kv& kv_;
  const RecallScope& scope_;
  std::map<Facility, Touched> out_;
};

}  // namespace

Facets facets_of(const ResultView& view) {
  return {view.status, view.verdict ? uint8_t(*view.verdict) : uint8_t{0}, view.critical, view.retracted};
}

void ModelUses::change(const ResultName& name, const Seen& before, const Seen& after, KvBatch& batch) {
  const Times was = times_of(before.row), is = times_of(after.row);
  const Facets old_facets = facets_of(before.view), facets = facets_of(after.view);
  if (was == is && old_facets == facets) return;
  Bytes several = "b";
  put_name(several, name);
  if (is.size() > 1) batch.put(kViewSpace, std::move(several), {});
  else if (was.size() > 1) batch.erase(kViewSpace, std::move(several));
  for (const auto& [model, times] : was) {
    const int64_t first = *times.begin();
    for (int64_t t : times) batch.erase(kViewSpace, use_key(t == first ? 'm' : 'x', model, t, name));
    --counts_[count_key(model, day_of(first), name.fac)][old_facets];
  }
  for (const auto& [model, times] : is) {
    const int64_t first = *times.begin();
    for (int64_t t : times) {
      RowWriter out;
      put_facets(out, facets);
      if (t != first) out.i64(first);
      batch.put(kViewSpace, use_key(t == first ? 'm' : 'x', model, t, name), out.take());
    }
    ++counts_[count_key(model, day_of(first), name.fac)][facets];
  }
}

Result<void> ModelUses::write_counts(KvBatch& batch) {
  for (const auto& [key, changes] : counts_) {
    auto counts = read_counts(kv_, key);
    if (!counts) return std::move(counts).error();
    for (const auto& [facets, change] : changes) (*counts)[facets] += change;
    RowWriter out;
    for (const auto& [facets, count] : *counts) {
      if (count == 0) continue;
      put_facets(out, facets);
      out.i64(count);
    }
    Bytes row = out.take();
    if (row.empty()) {
      batch.erase(kViewSpace, key);
    } else {
      batch.put(kViewSpace, key, std::move(row));
    }
  }
  counts_.clear();
  return {};
}

void put_model(KvBatch& batch, const ModelText& model) {
  batch.put(kViewSpace, Bytes("d").append(view(model.ref)),
            RowWriter().text(model.model_id).text(model.vendor).text(model.name).text(model.version).take());
}

std::string to_json(const ModelText& m) {
  return fmt::format(R"({{"ref":"{}","model_id":{},"vendor":{},"name":{},"version":{}}})", hex(view(m.ref)), json_string(m.model_id), json_string(m.vendor), json_string(m.name), json_string(m.version));
}

Result<std::vector<ModelText>> models(const Kv& kv) {
  std::vector<ModelText> out;
  bool damaged = false;
  auto scanned = kv.scan(kViewSpace, "d", "e", [&](ByteView key, ByteView value) {
    ModelText row;
    RowReader in(value);
    row.ref = take<sizeof(Hash)>(key.substr(1));
    row.model_id = in.text();
    row.vendor = in.text();
    row.name = in.text();
    row.version = in.text();
    damaged = !in.done();
    out.push_back(std::move(row));
    return !damaged;
  });
  if (!scanned) return std::move(scanned).error();
  if (damaged) return damaged_view();
  return out;
}

Result<std::vector<ModelText>> find_models(const Kv& kv, const std::string& model, const std::string& version) {
  auto all = models(kv);
  if (!all) return std::move(all).error();
  std::vector<ModelText> out = std::move(*all);
  const auto ref = model.size() == 2 * sizeof(Hash) ? bytes_from_hex(model) : std::nullopt;
  std::erase_if(out, [&](const ModelText& row) {
    const bool named = row.model_id == model || row.name == model || (ref && view(row.ref) == ByteView(*ref));
    return !named || (!version.empty() && row.version != version);
  });
  if (out.empty() && ref && version.empty()) out.push_back({take<sizeof(Hash)>(*ref), {}, {}, {}, {}});
  return out;
}

uint64_t Touched::all() const {
  uint64_t out = 0;
  for (const auto& [facets, count] : by_facets) out += count;
  return out;
}

Result<std::map<Facility, Touched>> count_uses(const Kv& kv, const RecallScope& scope, const UsesProgress& progress) {
  Counter counter(kv, scope);
  for (size_t i = 0; i < scope.models.size(); i++) {
    if (auto counted = counter.count(scope.models[i]); !counted) return std::move(counted).error();
    if (progress) progress(i + 1, scope.models.size());
  }
  if (auto freed = counter.free_of_repeats(); !freed) return std::move(freed).error();
  return counter.take();
}

Result<void> each_use(const Kv& kv, const RecallScope& scope, const std::function<bool(const ResultName&)>& each) {
  std::set<ResultName> seen;  // of several models alone: one model names a result once in 'm'
  for (const Hash& model : scope.models) {
    bool goes_on = true;
    for (const char table : {'m', 'x'}) {
      auto walked = rows_between(kv, table, model, scope.from_us, scope.to_us, [&](int64_t, ResultName name, RowReader& in) {
        read_facets(in);
        if (!scope.fac.empty() && name.fac != scope.fac) return true;
        if (table == 'x' && in.i64() >= scope.from_us) return true;
        const bool once = scope.models.size() == 1 && table == 'm';
        if (!once && !seen.insert(name).second) return true;
        return goes_on = each(name);
      });
      if (!walked || !goes_on) return walked;
    }
  }
  return {};
}

}  // namespace egret::cloud
