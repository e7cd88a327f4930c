#include "edge/link.h"

#include "schemas/mqtt.h"

namespace egret::edge {
namespace {

MqttOptions options_of(const LinkConfig& config) {
  MqttOptions out;
  out.url = config.url;
  out.user = config.facility;
  out.password = config.password;
  out.ca_file = config.ca_file;
  out.certificate_file = config.certificate_file;
  out.key_file = config.key_file;
  out.version = config.mqtt_version;
  out.keep_alive_s = config.keep_alive_s;
  out.connect_timeout_ms = config.connect_timeout_ms;
  out.payload_bytes_max = config.inbound_bytes_max;
  out.will_topic = topic_of(TopicKind::presence, config.facility);
  out.filters = {topic_of(TopicKind::down, config.facility)};
  return out;
}

// What the jobs look at; touched by the owning thread only, outlives the link as long as a job
// does.
struct Owner {
  Link::OnEvent on_event;
  uint64_t generation = 0;  // of the connection whose events count; 0: of none
};

// Turns what one connection says into jobs for the owning thread.
class Relay final : public MqttListener {
 public:
  Relay(Link::Post post, std::shared_ptr<Owner> owner, uint64_t generation, std::string broker)
      : post_(std::move(post)),
        owner_(std::move(owner)),
        generation_(generation),
        broker_(std::move(broker)) {}

  void up(size_t payload_bytes_max) override { tell(Connected{payload_bytes_max, broker_}); }
  void down(MqttEnd end) override {
    if (end.was_up) return tell(Disconnected{std::move(end.why)});
    tell(ConnectFailed{end.identity_refused, std::move(end.why)});
  }
  void published(uint64_t token) override { tell(Published{token}); }
  void publish_failed(uint64_t token, bool too_large, std::string why) override {
    tell(PublishFailed{token, too_large, std::move(why)});
  }
  void message(std::string, Bytes payload) override { tell(FrameArrived{std::move(payload)}); }

 private:
  void tell(Event event) {
    post_([owner = owner_, generation = generation_, event = std::move(event)]() mutable {
      if (owner->generation == generation) owner->on_event(std::move(event));
    });
  }

  const Link::Post post_;
  const std::shared_ptr<Owner> owner_;
  const uint64_t generation_;
  const std::string broker_;
};

}  // namespace

Result<void> check(const LinkConfig& config) {
  return egret::check(options_of(config));
}

struct Link::Impl {
  LinkConfig config;
  Post post;
  std::shared_ptr<Owner> owner;
  uint64_t connections = 0;
  std::unique_ptr<MqttConnection> connection;
};

Link::Link(LinkConfig config, Post post, OnEvent on_event) : impl_(std::make_unique<Impl>()) {
  impl_->config = std::move(config);
  impl_->post = std::move(post);
  impl_->owner = std::make_shared<Owner>();
  impl_->owner->on_event = std::move(on_event);
}

Link::~Link() {
  impl_->owner->generation = 0;
  impl_->owner->on_event = nullptr;
  if (impl_->connection) impl_->connection->close(1'000);
}

void Link::carry_out(const Connect& connect) {
  carry_out(Disconnect{});
  MqttOptions options = options_of(impl_->config);
  options.client_id = connect.client_id;
  options.will_payload = impl_->config.agent_version + ' ' + connect.client_id;
  impl_->owner->generation = ++impl_->connections;
  auto relay = std::make_shared<Relay>(impl_->post, impl_->owner, impl_->owner->generation,
                                       impl_->config.url);
  impl_->connection = std::make_unique<MqttConnection>(std::move(options), std::move(relay));
}

void Link::carry_out(const Disconnect&) {
  impl_->owner->generation = 0;
  impl_->connection.reset();
}

void Link::carry_out(Publish publish) {
  if (impl_->connection) {
    impl_->connection->publish(publish.token, topic_of(publish.topic, impl_->config.facility),
                               std::move(publish.frame));
    return;
  }
  impl_->post([owner = impl_->owner, token = publish.token] {
    if (owner->on_event) owner->on_event(PublishFailed{token, false, "no connection"});
  });
}

}  // namespace egret::edge
