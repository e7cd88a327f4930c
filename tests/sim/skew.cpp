#include "tests/sim/skew.h"

#include "schemas/es1.pb.h"

namespace egret::sim {
namespace {

constexpr int kUnknownField = 1000;

void add_unknown(google::protobuf::Message& message) {
  message.GetReflection()->MutableUnknownFields(&message)->AddLengthDelimited(kUnknownField, "of a later version");
}

template <class Body>
Bytes with_unknown(ByteView bytes, const auto& inner) {
  Body body;
  body.ParseFromString(Bytes(bytes));
  add_unknown(body);
  inner(body);
  return body.SerializeAsString();
}

class SkewedChannel final : public Channel {
 public:
  SkewedChannel(std::unique_ptr<Channel> real, const Skew& skew) : real_(std::move(real)), skew_(skew) {}
  const SessionId& sid() const override { return real_->sid(); }
  Result<Opened> open(ByteView frame) override { return real_->open(frame); }
  Sealed seal(FrameType type, ByteView body) override {
    Bytes skewed = type == FrameType::hello ? with_numbers(body) : Bytes(body);
    if (skew_.unknown_fields) skewed = with_fields(type, skewed);
    return real_->seal(type, skewed);
  }

 private:
  Bytes with_numbers(ByteView body) const {
    es1::Hello hello;
    hello.ParseFromString(Bytes(body));
    hello.set_proto_min(skew_.proto_min);
    hello.set_proto_max(skew_.proto_max);
    return hello.SerializeAsString();
  }
  static Bytes with_fields(FrameType type, ByteView body) {
    const auto each = [](auto* list) {
      for (auto& part : *list) add_unknown(part);
    };
    if (type == FrameType::hello) return with_unknown<es1::Hello>(body, [&](auto& m) { each(m.mutable_epochs()); });
    if (type == FrameType::batch) return with_unknown<es1::Batch>(body, [&](auto& m) { each(m.mutable_items()); });
    if (type == FrameType::welcome) return with_unknown<es1::Welcome>(body, [&](auto& m) { each(m.mutable_entries()); });
    return with_unknown<es1::Ack>(body, [&](auto& m) { each(m.mutable_rejected()); });
  }

  std::unique_ptr<Channel> real_;
  Skew skew_;
};

}  // namespace

std::unique_ptr<Channel> skewed_channel(std::unique_ptr<Channel> channel, const Skew& skew) {
  return std::make_unique<SkewedChannel>(std::move(channel), skew);
}

std::shared_ptr<Channel> newer_channel(std::unique_ptr<Channel> channel) {
  Skew skew;
  skew.unknown_fields = true;
  return std::make_shared<SkewedChannel>(std::move(channel), skew);
}

}  // namespace egret::sim
