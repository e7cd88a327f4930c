// PgBatch: a KvBatch as statements.
// Promises: few statements for many rows (arrays of values), in the order of the batch where that matters; rows that are
// known to be new are inserted plainly. Leaves to others: the transaction around it (kv_pg).
#pragma once

#include <functional>

#include "cloud/pg_link.h"
#include "cloud/pg_tables.h"

namespace egret::cloud {

// Queues the statements. `is_new`: no row has this key, as far as the transaction has looked.
void add_batch(PgLink& link, const KvBatch& batch, const std::function<bool(Space, ByteView)>& is_new);
// Whose turn a batch takes, in order: every facility that it says something about.
std::vector<Bytes> turns_of(const KvBatch& batch);

}  // namespace egret::cloud
