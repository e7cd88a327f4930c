#include "cloud/holds.h"

#include <spdlog/fmt/fmt.h>

#include "cloud/decoded.h"
#include "cloud/json_text.h"
#include "cloud/retention.h"
#include "cloud/results.h"
#include "cloud/row_bytes.h"
#include "cloud/shared_kv.h"

namespace egret::cloud {
namespace {

constexpr uint8_t kEveryClass = 255;

Bytes encode(const Hold& hold) {
  RowWriter out(128);
  out.text(hold.fac).u8(hold.what ? uint8_t(*hold.what) : kEveryClass);
  out.text(hold.result ? hold.result->fac : Facility()).fixed(hold.result ? hold.result->id : Uuid{});
  out.i64(hold.at.us).text(hold.by).text(hold.reason);
  return out.i64(hold.released.us).text(hold.released_by).text(hold.released_reason).take();
}

Result<Hold> decode_hold(ByteView key, ByteView value) {
  RowReader in(value);
  Hold out;
  out.id = key.size() == 1 + sizeof(uint64_t) ? get_u64(key, 1) : 0;
  out.fac = Facility(in.text());
  const uint8_t what = in.u8();
  if (what != kEveryClass) out.what = RetentionClass(what);
  ResultName result{Facility(in.text()), in.fixed<16>()};
  if (!result.fac.empty()) out.result = std::move(result);
  out.at.us = in.i64();
  out.by = in.text();
  out.reason = in.text();
  out.released.us = in.i64();
  out.released_by = in.text();
  out.released_reason = in.text();
  if (!in.done() || out.id == 0 || (what != kEveryClass && what >= kRetentionClasses))
    return Error{Errc::corrupt, "cloud store: a row of the table \"holds\" is not as it was written; restore from a backup"};
  return out;
}

Result<void> check_words(const std::string& by, const std::string& reason) {
  if (by.empty() || reason.empty()) return Error{Errc::bad_input, "say who orders it, and why"};
  if (by.size() > kHoldTextBytes || reason.size() > kHoldTextBytes)
    return Error{Errc::bad_input, fmt::format("who and why: at most {} bytes each are kept", kHoldTextBytes)};
  return {};
}

}  // namespace

bool Hold::covers(const Facility& whose, RetentionClass of) const {
  return counts() && !result && (fac.empty() || fac == whose) && (!what || *what == of);
}

Result<std::vector<Hold>> holds(const Kv& kv) {
  const Bytes first = table_prefix('h');
  return decoded(kv, kMetaSpace, first, after_prefix(first), decode_hold);
}

Result<uint64_t> add_hold(Kv& kv, Hold hold) {
  if (auto fine = check_words(hold.by, hold.reason); !fine) return std::move(fine).error();
  const AtOnce at_once(kv);
  const auto known = holds(kv);
  if (!known) return known.error();
  if (known->size() >= kHoldsMax) return Error{Errc::bad_input, fmt::format("{} holds are kept at most", kHoldsMax)};
  hold.id = known->empty() ? 1 : known->back().id + 1;
  KvBatch batch;
  batch.put(kMetaSpace, table_row('h', hold.id), encode(hold));
  if (auto written = kv.write(batch, true); !written) return std::move(written).error();
  return hold.id;
}

Result<void> release_hold(Kv& kv, uint64_t id, WallTime at, const std::string& by, const std::string& reason) {
  if (auto fine = check_words(by, reason); !fine) return fine;
  const AtOnce at_once(kv);
  auto known = holds(kv);
  if (!known) return std::move(known).error();
  for (Hold& hold : *known) {
    if (hold.id != id) continue;
    if (!hold.counts()) return Error{Errc::bad_input, fmt::format("hold {} was released already", id)};
    hold.released = at;
    hold.released_by = by;
    hold.released_reason = reason;
    KvBatch batch;
    batch.put(kMetaSpace, table_row('h', id), encode(hold));
    look_at_all_again(batch);
    return kv.write(batch, true);
  }
  return Error{Errc::not_found, fmt::format("there is no hold {}", id)};
}

std::string to_json(const Hold& h) {
  return fmt::format(R"({{"id":{},"facility":{},"class":{},"result":{},"at":{},"by":{},"reason":{},"released":{},"released_by":{},"released_reason":{}}})",
                     h.id, h.fac.empty() ? "null" : json_string(h.fac), h.what ? json_string(name_of(*h.what)) : "null",
                     h.result ? json_string(text_of(*h.result)) : "null", json_time(h.at), json_string(h.by), json_string(h.reason),
                     json_time(h.released), h.counts() ? "null" : json_string(h.released_by), h.counts() ? "null" : json_string(h.released_reason));
}

}  // namespace egret::cloud
