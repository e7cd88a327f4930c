// Page: the one HTML page of the cloud: the facilities table, refreshing itself.
// Promises: nothing from outside, no inline handler; the Content-Security-Policy names exactly its
// own style and script by hash; says so when what it shows is old. Leaves to others: the numbers
// (/api/facilities), serving it (server).
#pragma once

#include <string>

namespace egret::cloud {

const std::string& page_html();
// The value of its Content-Security-Policy header.
const std::string& page_policy();

}  // namespace egret::cloud
