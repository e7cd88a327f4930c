// Roles: what somebody who asks the region's API may do. A token has one of them; nobody has all.
// Promises: a closed list; a role's name is the same in tokens, answers and documentation.
// Leaves to others: which endpoint is for whom (endpoints.h), who has which (tokens.h).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace egret::cloud {

enum class Role : uint8_t {
  viewer = 0,    // reads what holds no patient's data: completeness, results, alerts, changes
  operations,    // "operator": the same, acknowledges alerts, recalls models
  auditor,       // reads what was done and proves it: completeness, statements, orders
  admin,         // who may come in: tokens. No results
  fhir,          // "fhir": clinical systems, at /fhir alone: the only one that sees patients
};
inline constexpr size_t kRoles = 5;
inline constexpr Role kAllRoles[kRoles] = {Role::viewer, Role::operations, Role::auditor, Role::admin, Role::fhir};

const char* name_of(Role role);
std::optional<Role> role_of(std::string_view name);

// Who may use an endpoint.
class Roles {
 public:
  constexpr Roles(std::initializer_list<Role> roles) {
    for (Role role : roles) bits_ |= uint8_t(1u << uint8_t(role));
  }
  // Who has no token, too.
  static constexpr Roles anybody() {
    Roles out{};
    out.bits_ = kAnybody;
    return out;
  }
  constexpr Roles with(Role role) const {
    Roles out = *this;
    out.bits_ |= uint8_t(1u << uint8_t(role));
    return out;
  }
  constexpr bool has(Role role) const { return bits_ == kAnybody || (bits_ >> uint8_t(role) & 1u) != 0; }
  constexpr bool open() const { return bits_ == kAnybody; }
  std::string text() const;  // "viewer, operator", or "anybody"

 private:
  static constexpr uint8_t kAnybody = 0xff;
  uint8_t bits_ = 0;
};

}  // namespace egret::cloud
