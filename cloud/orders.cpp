#include "cloud/orders.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "cloud/decoded.h"
#include "cloud/json_text.h"
#include "cloud/row_bytes.h"
#include "cloud/shared_kv.h"

namespace egret::cloud {
namespace {

Bytes encode(const Order& order) {
  RowWriter out(128);
  out.u8(uint8_t(order.kind)).i64(order.at.us).text(order.by).text(order.reason);
  if (order.kind == Order::Kind::undo) return out.u64(order.undoes).take();
  out.u8(static_cast<uint8_t>(order.scope.models.size()));
  for (const Hash& model : order.scope.models) out.fixed(model);
  return out.i64(order.scope.from_us).i64(order.scope.to_us).text(order.scope.fac).text(order.model).text(order.version).take();
}

Result<Order> decode_order(ByteView key, ByteView value) {
  RowReader in(value);
  Order out;
  out.id = get_u64(key, 1);
  out.kind = Order::Kind(in.u8());
  out.at.us = in.i64();
  out.by = in.text();
  out.reason = in.text();
  if (out.kind == Order::Kind::undo) {
    out.undoes = in.u64();
  } else {
    out.scope.models.resize(in.u8());
    for (Hash& model : out.scope.models) model = in.fixed<32>();
    out.scope.from_us = in.i64();
    out.scope.to_us = in.i64();
    out.scope.fac = Facility(in.text());
    out.model = in.text();
    out.version = in.text();
  }
  const bool known = out.kind == Order::Kind::recall || out.kind == Order::Kind::undo;
  if (!in.done() || !known || key.size() != 1 + sizeof(uint64_t))
    return Error{Errc::corrupt, "cloud store: a row of the table \"orders\" is not as it was written; restore from a backup"};
  return out;
}

Result<void> check(const Order& order, std::span<const Order> known) {
  for (const std::string* text : {&order.by, &order.reason, &order.model, &order.version}) {
    if (text->size() > kOrderTextBytes) return Error{Errc::bad_input, fmt::format("a text of {} bytes: at most {} are kept", text->size(), kOrderTextBytes)};
  }
  if (order.by.empty() || order.reason.empty()) return Error{Errc::bad_input, "say who orders it, and why"};
  if (order.kind == Order::Kind::recall) {
    if (order.scope.models.empty() || order.scope.models.size() > kOrderModels)
      return Error{Errc::bad_input, fmt::format("a recall of {} models: 1 to {} can be named", order.scope.models.size(), kOrderModels)};
    if (order.scope.from_us >= order.scope.to_us) return Error{Errc::bad_input, "the time it ends is not after the time it begins"};
    return {};
  }
  for (const Recall& recall : recalls_in(known)) {
    if (recall.id != order.undoes) continue;
    if (recall.undone) return Error{Errc::bad_input, fmt::format("recall {} is undone already", recall.id)};
    return {};
  }
  return Error{Errc::not_found, fmt::format("there is no recall {}", order.undoes)};
}

}  // namespace

Result<std::vector<Order>> orders(const Kv& kv) {
  const Bytes first = table_prefix('v');
  return decoded(kv, kMetaSpace, first, after_prefix(first), decode_order);
}

std::vector<Recall> recalls_in(std::span<const Order> orders) {
  std::vector<Recall> out;
  for (const Order& order : orders) {
    if (order.kind == Order::Kind::recall) {
      out.push_back({order.id, order.scope, false});
      continue;
    }
    for (Recall& recall : out) recall.undone |= recall.id == order.undoes;
  }
  return out;
}

Result<std::vector<Recall>> recalls(const Kv& kv) {
  const auto all = orders(kv);
  if (!all) return all.error();
  return recalls_in(*all);
}

Result<uint64_t> add_order(Kv& kv, Order order) {
  const AtOnce at_once(kv);
  const auto known = orders(kv);
  if (!known) return known.error();
  std::ranges::sort(order.scope.models);
  order.scope.models.erase(std::ranges::unique(order.scope.models).begin(), order.scope.models.end());
  if (auto fine = check(order, *known); !fine) return std::move(fine).error();
  const uint64_t id = known->empty() ? 1 : known->back().id + 1;
  KvBatch batch;
  batch.put(kMetaSpace, table_row('v', id), encode(order));
  if (auto written = kv.write(batch, true); !written) return std::move(written).error();
  return id;
}

std::string to_json(const Order& order, bool undone) {
  std::string out = fmt::format(R"({{"id":{},"order":"{}","at":{},"by":{},"reason":{})", order.id,
                                order.kind == Order::Kind::recall ? "recall" : "undo", json_time(order.at), json_string(order.by), json_string(order.reason));
  if (order.kind == Order::Kind::undo) return out + fmt::format(R"(,"undoes":{}}})", order.undoes);
  std::string models;
  for (const Hash& model : order.scope.models) models += (models.empty() ? "\"" : ",\"") + hex(view(model)) + "\"";
  return out + fmt::format(R"(,"undone":{},"model":{},"version":{},"models":[{}],"from":{},"to":{},"facility":{}}})", undone, json_string(order.model),
                           json_string(order.version), models, json_time({order.scope.from_us}), json_time({order.scope.to_us}),
                           order.scope.fac.empty() ? "null" : json_string(order.scope.fac));
}

}  // namespace egret::cloud
