#include "edge/judge.h"

#include "schemas/limits.h"
#include "schemas/mutants.h"

namespace egret::edge {

bool digest_agrees(const Reader& reader, StreamKey key, Seq border, Seq at, ByteView digest) {
  if (at < border || mutant(Mutant::no_digest) || mutant(Mutant::old_epoch_resumed)) return true;
  std::optional<Hash> ours = reader.c_at(key, at);
  return ours && view(*ours).substr(0, kDigestWireBytes) == digest;
}

Verdict judge(const View& held, const Reader& reader, const es1::WelcomeEntry& entry) {
  if (entry.stream() >= kStreamCount) return Verdict::unknown;
  StreamKey key{{entry.epoch()}, static_cast<StreamId>(entry.stream())};
  const StreamView* stream = held.find(key);
  if (!stream) return reader.finished_stream(key) ? Verdict::over : Verdict::unknown;
  if (stream->moved || stream->moving) return Verdict::over;
  bool numbers = entry.w() <= stream->head.value &&
                 (entry.claimed() <= stream->head.value || mutant(Mutant::claim_not_compared));
  if (numbers && (mutant(Mutant::welcome_digest_off) || digest_agrees(reader, key, stream->border, {entry.w()}, entry.c())))
    return Verdict::same;
  return Verdict::elsewhere;
}

}  // namespace egret::edge
