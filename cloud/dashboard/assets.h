// Assets: the regional dashboard as it was built (cloud/dashboard), inside the program.
// Promises: nothing of it comes from outside. Leaves to others: serving it (api/house).
#pragma once

#include <span>
#include <string_view>

namespace egret::cloud {

struct DashboardAsset {
  std::string_view path, content_type, etag;
  std::string_view body, gzip;
};
// The first is "/". Empty: this program was built where npm's packages could not be had; it has the plain page alone.
std::span<const DashboardAsset> dashboard_assets();

}  // namespace egret::cloud
