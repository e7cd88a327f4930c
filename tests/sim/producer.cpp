#include "tests/sim/producer.h"

#include "schemas/chain.h"
#include "schemas/record.pb.h"

namespace egret::sim {
namespace {

constexpr size_t kLargeBytesMin = 9 * 1024;  // more than the smallest frame limit
constexpr size_t kLargeBytesMax = 20 * 1024;

v1::Body started() {
  v1::Body body;
  body.set_sens(2);
  body.add_purpose(v1::PURPOSE_QUALITY);
  return body;
}

v1::Body event(uint64_t number) {
  v1::Body body = started();
  v1::AgentEvent& e = *body.mutable_agent_event();
  e.set_boot_id(Bytes(16, 'b'));
  e.set_counter(number);
  e.set_name("sim.event");
  e.set_severity(v1::AgentEvent::SEVERITY_INFO);
  e.mutable_t()->set_us(1'700'000'000'000'000);
  return body;
}

v1::Body part(Entropy& entropy) {
  v1::Body body = started();
  v1::DocumentPart& p = *body.mutable_document_part();
  Bytes data(kLargeBytesMin + entropy.below(kLargeBytesMax - kLargeBytesMin), '\0');
  entropy.fill(reinterpret_cast<uint8_t*>(data.data()), data.size());
  p.set_document(Bytes(view(sha256(data))));
  p.set_index(0);
  p.set_count(1);
  p.set_data(std::move(data));
  return body;
}

}  // namespace

Made Producer::arrive(const Facility& fac, const Bytes& body, WallTime wall) {
  v1::Arrival arrival;
  arrival.set_wall_us(std::max<int64_t>(wall.us, 0));
  arrival.set_mono_ns(++number_);
  Made made{0, join_record(body, encode_arrival(arrival).value()).value()};
  const Result<CheckedBody> checked = check_body(body, fac);
  const NaturalKey key = checked ? checked->key : NaturalKey{Kind::agent_event, sha256(made.record)};
  made.id = history_.offer(fac, key, !checked);
  history_.offer_bytes(fac, leaf_of(made.record), made.id, made.record);
  return made;
}

Made Producer::make(const Facility& fac, RecordKind kind, WallTime wall, Entropy& chance) {
  if (kind == RecordKind::undecodable) {
    Made made{0, "no record " + std::to_string(++number_)};
    made.id = history_.offer(fac, {Kind::agent_event, sha256(made.record)}, true);
    history_.offer_bytes(fac, leaf_of(made.record), made.id, made.record);
    return made;
  }
  v1::Body body = kind == RecordKind::large ? part(chance) : event(++number_);
  const Facility stated = kind == RecordKind::wrong_facility ? Facility("elsewhere") : fac;
  const Bytes bytes = make_body(body, stated).value().bytes;
  if (kind == RecordKind::small) bodies_[fac].push_back(bytes);
  return arrive(fac, bytes, wall);
}

Made Producer::bring(const Facility& fac, const Bytes& body, WallTime wall) {
  return arrive(fac, body, wall);
}

std::optional<Made> Producer::again(const Facility& fac, WallTime wall, Entropy& chance) {
  const std::vector<Bytes>& known = bodies_[fac];
  if (known.empty()) return std::nullopt;
  return arrive(fac, Bytes(known[chance.below(known.size())]), wall);
}

}  // namespace egret::sim
