// Fuzz entry: a region's statement of any bytes: as a file, and as a first line that the right key has signed. Refused, or
// written again as a statement that says the same.
#include "schemas/statement.h"
#include "tests/fuzz/fuzz.h"

using namespace egret;
using fuzz::require;

namespace {

const SitePrivateKey& key() {
  static const SitePrivateKey kKey{{7}};
  return kKey;
}

Bytes signed_file(ByteView line) {
  const auto signature = key().sign(Bytes("egret-statement-1").append(1, '\0').append(line));
  return Bytes(line) + "\n{\"signer\":\"" + hex(view(key().public_key().point)) + "\",\"signature\":\"" + hex(view(signature)) + "\"}\n";
}

// Input: how(1) · file, or line.
void run(ByteView input) {
  if (input.empty()) return;
  const bool as_line = (input[0] & 1) != 0;
  const auto opened = open_statement(as_line ? signed_file(input.substr(1)) : Bytes(input.substr(1)), key().public_key());
  if (!opened) return require(!opened.error().text.empty(), "a refusal says why");
  const auto again = sign_statement(opened->statement, key());
  require(again.has_value(), "what was read can be written");
  const auto twice = open_statement(*again, key().public_key());
  require(twice.has_value() && sign_statement(twice->statement, key()).value() == *again, "and says the same");
}

std::vector<Bytes> seeds() {
  Statement s;
  s.fac = "clinic-7";
  s.rows.push_back({{{5}, StreamId::telemetry}, {9}, {}, {12}, true, false, true, false, {{{3}, {6}, GapKind::shed, true}}, 7});
  const Bytes file = sign_statement(s, key()).value();
  return {fuzz::tagged(0, file), fuzz::tagged(1, file.substr(0, file.find('\n'))), fuzz::tagged(1, "{\"format\":\"egret-statement-1\"}"), fuzz::tagged(0, "\n\n")};
}

const fuzz::Registered registered({"statement", run, seeds});

}  // namespace
