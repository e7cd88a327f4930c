// Webhook: an alert's event as a POST that the receiver can trust.
// Promises: signed with a secret that both know; only a 2xx counts; redirects are not followed, so nothing goes to a host
// that was not named; a receiver that is silent costs kWebhookMs. Leaves to others: trying again (Teller).
//
//   POST, Content-Type: application/json, the event as GET /api/alerts has it
//   Egret-Alert: FACILITY/UUID        the same for all events of an alert
//   Egret-Event: CURSOR               the same whenever this one event is sent again: drop what you have seen
//   Egret-Signature: t=SECONDS,v1=HEX HMAC-SHA256(secret, SECONDS "." body)
#pragma once

#include <filesystem>

#include "cloud/outputs/teller.h"
#include "schemas/http_post.h"

namespace egret::cloud {

inline constexpr const char* kWebhookOutput = "webhook";
inline constexpr int64_t kWebhookMs = 10'000;  // connect, handshake, send, answer

struct WebhookConfig {
  HttpTarget target;
  Bytes secret;                    // at least kWebhookSecretBytesMin
  std::filesystem::path ca_file;   // PEM; empty: the system's
};
inline constexpr size_t kWebhookSecretBytesMin = 16;
std::string webhook_signature(ByteView secret, int64_t seconds, ByteView body);

std::unique_ptr<AlertOutput> make_webhook(WebhookConfig config, std::function<WallTime()> now);

}  // namespace egret::cloud
