#include "agent/statement.h"

#include <algorithm>
#include <set>

#include "schemas/chain.h"

namespace egret::agent {
namespace {

RowVerdict verdict_of(const Facility& fac, const StatedRow& row, const edge::StreamView* stream, const edge::Reader& reader) {
  const auto finished = stream == nullptr ? reader.finished_stream(row.key) : std::nullopt;
  // Of a stream that never held anything the finished list says nothing.
  if (row.complete_to.value == 0) return row.c == chain_start(fac, row.key) ? RowVerdict::proven : RowVerdict::differs;
  if (stream == nullptr && !finished) return RowVerdict::unknown;
  const Seq head = stream != nullptr ? stream->head : finished->purged;
  const Seq known_from = stream != nullptr ? stream->border : finished->purged;
  // What a moved stream held above its end is in another epoch; its head is no claim any more.
  if (row.complete_to > head && !(finished && finished->moved)) return RowVerdict::too_far;
  if (row.complete_to < known_from || row.complete_to > head) return RowVerdict::forgotten;
  const auto c = reader.c_at(row.key, row.complete_to);
  return c && *c == row.c ? RowVerdict::proven : RowVerdict::differs;
}

}  // namespace

const char* name_of(RowVerdict verdict) {
  switch (verdict) {
    case RowVerdict::proven: return "proven";
    case RowVerdict::forgotten: return "forgotten";
    case RowVerdict::differs: return "differs";
    case RowVerdict::too_far: return "too far";
    case RowVerdict::unknown: return "unknown";
  }
  return "";
}

bool StatementCheck::holds() const {
  return std::ranges::all_of(rows, [](const RowCheck& row) { return row.verdict == RowVerdict::proven || row.verdict == RowVerdict::forgotten; });
}

Result<StatementCheck> check_statement(const Statement& statement, const Facility& fac, const edge::View& view, const edge::Reader& reader) {
  if (statement.fac != fac) return Error{Errc::wrong_facility, "statement: it is about facility " + statement.fac + ", this is " + fac};
  StatementCheck out;
  std::set<StreamKey> stated;
  for (const StatedRow& row : statement.rows) {
    const edge::StreamView* stream = view.find(row.key);
    stated.insert(row.key);
    const uint64_t lacks = stream != nullptr && !stream->moved ? span(row.complete_to, stream->head) : 0;
    out.rows.push_back({row.key, row.complete_to, verdict_of(fac, row, stream, reader), lacks});
    out.lacks += lacks;
  }
  for (const edge::EpochView& epoch : view.epochs) {
    for (size_t i = 0; i < kStreamCount; i++) {
      if (!epoch.streams[i].moved && !stated.contains({epoch.id, StreamId(i)})) out.lacks += epoch.streams[i].head.value;
    }
  }
  return out;
}

}  // namespace egret::agent
