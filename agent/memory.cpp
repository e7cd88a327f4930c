#include "agent/memory.h"

#include <fstream>
#include <sstream>

#include "agent/keys.h"
#include "agent/log.h"
#include "schemas/durable_file.h"
#include "schemas/limits.h"

namespace egret::agent {

edge::Memory read_memory(const std::filesystem::path& state_dir) {
  edge::Memory memory;
  std::ifstream file(state_dir / "memory");
  std::string word, value;
  while (file >> word >> value) {
    bool number = !value.empty() && value.size() < 12 && value.find_first_not_of("0123456789") == std::string::npos;
    if (word == "herd_window_ms" && number) memory.herd_window_ms = std::min<int64_t>(std::stoll(value), kBackoffMaxMs);
    if (word == "largest_acked_bytes" && number) memory.largest_acked_bytes = std::stoull(value);
    if (word == "frame_limit_bytes" && number) memory.frame_limit_bytes = std::stoull(value);
    std::optional<Key32> key = word == "next_region_key" ? key_of_hex(value) : std::nullopt;
    if (key) memory.next_region_key = Bytes(view(*key));
  }
  return memory;
}

void write_memory(const std::filesystem::path& state_dir, const edge::Memory& memory) {
  std::ostringstream text;
  text << "herd_window_ms " << memory.herd_window_ms << "\nlargest_acked_bytes " << memory.largest_acked_bytes
       << "\nframe_limit_bytes " << memory.frame_limit_bytes << '\n';
  if (!memory.next_region_key.empty()) text << "next_region_key " << hex(memory.next_region_key) << '\n';
  if (Result<void> kept = replace_file(state_dir / "memory", text.str(), 0600); !kept) log("state_not_kept", kept.error());
}

}  // namespace egret::agent
