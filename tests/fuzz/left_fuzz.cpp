// Fuzz entry: what a run leaves beside the store, and what a running agent says: the memory file
// and the status, of any bytes.
#include <fstream>

#include "agent/memory.h"
#include "agent/status.h"
#include "schemas/limits.h"
#include "tests/fuzz/talk.h"
#include "tests/unit/agent/status_facts.h"

using namespace egret;
using namespace egret::agent;
using fuzz::require;

namespace {

namespace fs = std::filesystem;

void remember(const fs::path& folder, ByteView bytes) {
  std::ofstream(folder / "memory", std::ios::binary) << bytes;
  const edge::Memory memory = read_memory(folder);
  require(memory.herd_window_ms >= 0 && memory.herd_window_ms <= kBackoffMaxMs,
          "a herd window is no longer than a backoff");
  require(memory.next_region_key.empty() || memory.next_region_key.size() == sizeof(Key32),
          "a key is a key");
  write_memory(folder, memory);
  const edge::Memory again = read_memory(folder);
  require(again.herd_window_ms == memory.herd_window_ms &&
              again.largest_acked_bytes == memory.largest_acked_bytes &&
              again.frame_limit_bytes == memory.frame_limit_bytes &&
              again.next_region_key == memory.next_region_key,
          "what is remembered is read again as the same");
}

// Input: which(1) · bytes.
void run(ByteView input) {
  static fuzz::Folder folder;
  if (input.empty()) return;
  if (input[0] % 2 == 0) return remember(folder.path(), input.substr(1));
  const auto text = status_text(input.substr(1));
  require(text ? !text->empty() : !text.error().text.empty(),
          "a status is told, or it is said why not");
}

std::vector<Bytes> seeds() {
  StatusFacts facts = well();
  facts.notices.push_back({1, message("linked")});
  facts.disk_days_left = 3.5;
  facts.drain_eta_s = 90;
  edge::EpochView epoch;
  epoch.id = {77};
  epoch.streams[1].head = {9};
  facts.view.epochs.push_back(epoch);
  return {fuzz::tagged(1, status_json(facts)),
          fuzz::tagged(0,
                       "herd_window_ms 30000\nlargest_acked_bytes 65536\nframe_limit_bytes "
                       "8192\nnext_region_key " +
                           std::string(64, 'a') + "\n"),
          fuzz::tagged(0, "herd_window_ms 99999999999\nframe_limit_bytes -1\n")};
}

const fuzz::Registered registered({"left", run, seeds});

}  // namespace
