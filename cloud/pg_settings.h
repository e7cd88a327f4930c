// PgSettings: what a PostgreSQL server must be set to before it may keep what nobody else has any more.
// Promises: each weak setting is named, with its value, what it would lose and what to set. Leaves to others: asking
// again when the server is started anew (each opening asks).
#pragma once

#include "cloud/pg_link.h"

namespace egret::cloud {

// Errors: config (weak settings, all of them in one text), store_failed.
Result<void> check_settings(PgLink& link);

}  // namespace egret::cloud
