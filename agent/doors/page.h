// Page: how this site stands, for the clinic's IT person: one screen in a browser on the clinic's server, in both languages, that can
// be printed.
// Promises: no script, nothing from elsewhere, no patient's data; text of others is shown as text. Leaves to others: the facts
// (agent/status.h), serving it (api).
#pragma once

#include <string>

#include "schemas/error.h"
#include "schemas/types.h"

namespace egret::agent {

// From what GET /v1/status answers. Errors: bad_input.
Result<std::string> clinic_page(ByteView status_json);
// The value of its Content-Security-Policy.
const std::string& clinic_page_policy();

}  // namespace egret::agent
