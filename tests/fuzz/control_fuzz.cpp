// Fuzz entry: the cloud's control socket: arguments of any bytes; what is encoded is decoded as the
// same; commands leave a store that can be read.
#include "cloud/control.h"
#include "tests/fuzz/fuzz.h"
#include "tests/sim/kv_memory.h"
#include "tests/sim/seeded_entropy.h"

using namespace egret;
using namespace egret::cloud;
using fuzz::require;

namespace {

OpenedStore fresh_store() {
  SeededEntropy entropy{1};
  OpenedStore opened;
  opened.kv = std::make_unique<KvMemory>(kCloudSpaces);
  opened.store = open_store(*opened.kv, entropy).value();
  return opened;
}

void encode_and_decode(fuzz::Script script) {
  ControlArgs args;
  while (!script.over() && args.size() < 8) {
    const Bytes name(1 + args.size(), static_cast<char>('a' + args.size()));
    args[name] = script.bytes(script.u8());
  }
  require(decode_args(encode_args(args)) == args, "arguments arrive as they were given");
}

// Input: which command(1) · its arguments as they come over the socket.
void run(ByteView input) {
  static const char* const kCommands[] = {"facility.add", "facility.revoke", "facility.block",
                                          "incident.close", "no.such"};
  encode_and_decode(fuzz::Script(input));
  if (input.empty()) return;
  OpenedStore store = fresh_store();
  const ControlArgs args = decode_args(Bytes(input.substr(1)));
  const char* name = kCommands[uint8_t(input[0]) % std::size(kCommands)];
  for (const char* command : {"facility.add", name}) {
    const ControlAnswer answer =
        run_control(command, args, store, "store", {1'700'000'000'000'000});
    require(!answer.text.empty() && answer.code >= 0 && answer.code < 128,
            "a command says what became of it");
  }
  const auto all = store.store->facilities();
  require(all.has_value(), "the store can be read");
  for (const Facility& fac : *all)
    require(valid_facility(fac), "only valid facilities are registered");
}

std::vector<Bytes> seeds() {
  const std::string add = encode_args({{"fac", "clinic-7"},
                                       {"key", std::string(64, 'a')},
                                       {"on", "1"},
                                       {"id", "1"},
                                       {"note", "n"}});
  std::vector<Bytes> out;
  for (uint8_t command = 0; command < 5; command++) out.push_back(fuzz::tagged(command, add));
  out.push_back(fuzz::tagged(0, "fac=\nkey==\n=\nfac"));
  return out;
}

const fuzz::Registered registered({"control", run, seeds});

}  // namespace
