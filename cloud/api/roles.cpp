#include "cloud/api/roles.h"

namespace egret::cloud {

const char* name_of(Role role) {
  switch (role) {
    case Role::viewer: return "viewer";
    case Role::operations: return "operator";
    case Role::auditor: return "auditor";
    case Role::admin: return "admin";
    case Role::fhir: return "fhir";
  }
  return "";
}

std::optional<Role> role_of(std::string_view name) {
  for (Role role : kAllRoles) {
    if (name == name_of(role)) return role;
  }
  return std::nullopt;
}

std::string Roles::text() const {
  if (open()) return "anybody";
  std::string out;
  for (Role role : kAllRoles) {
    if (has(role)) out += (out.empty() ? "" : ", ") + std::string(name_of(role));
  }
  return out;
}

}  // namespace egret::cloud
