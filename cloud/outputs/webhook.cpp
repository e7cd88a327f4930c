#include "cloud/outputs/webhook.h"

#include <spdlog/fmt/fmt.h>

#include "cloud/cursor.h"
#include "cloud/results.h"
#include "schemas/seal.h"

namespace egret::cloud {
namespace {

class Webhook final : public AlertOutput {
 public:
  Webhook(WebhookConfig config, std::function<WallTime()> now) : config_(std::move(config)), now_(std::move(now)) {}
  std::string name() const override { return kWebhookOutput; }

  Result<void> tell(const AlertEvent& event, uint64_t gen) override {
    HttpPost post{config_.target, config_.ca_file, kWebhookMs, "egret-cloud/" EGRET_VERSION, {}, to_json(event, gen)};
    const int64_t seconds = now_().us / 1'000'000;
    post.headers = {{"Egret-Alert", text_of(event.about)},
                    {"Egret-Event", text_of(Cursor{gen, event.number, 0})},
                    {"Egret-Signature", fmt::format("t={},v1={}", seconds, webhook_signature(config_.secret, seconds, post.body))}};
    const Result<unsigned> status = http_post(post);
    if (!status) return status.error();
    if (*status / 100 == 2) return {};
    return Error{Errc::link, fmt::format("it answered {}", *status)};
  }

 private:
  const WebhookConfig config_;
  const std::function<WallTime()> now_;
};

}  // namespace

std::string webhook_signature(ByteView secret, int64_t seconds, ByteView body) {
  return hex(view(hmac_sha256(secret, fmt::format("{}.", seconds).append(body))));
}

std::unique_ptr<AlertOutput> make_webhook(WebhookConfig config, std::function<WallTime()> now) { return std::make_unique<Webhook>(std::move(config), std::move(now)); }

}  // namespace egret::cloud
