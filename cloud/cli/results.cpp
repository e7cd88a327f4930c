// result, worklist, views, erase: what the region holds of results, and taking one out for good.
#include <spdlog/fmt/fmt.h>

#include <cstdio>

#include "cloud/cli/cli.h"
#include "cloud/follower.h"
#include "cloud/results.h"
#include "cloud/verify_views.h"

namespace egret::cloud::cli {
namespace {

// Says on stderr how far the views are, when they are not up to date.
void say_how_far(const Kv& kv) {
  const auto behind = Follower::behind(kv);
  if (!behind) {
    complain(behind.error());
  } else if (!*behind) {
    std::fprintf(stderr, "the views are being made anew: results may be missing here\n");
  } else if (**behind > 0) {
    std::fprintf(stderr, "the views are %llu blocks behind what is committed\n", static_cast<unsigned long long>(**behind));
  }
}

struct Asked {
  OpenedStore store;
  ResultName name;
  std::optional<ResultRow> row;  // nothing: nothing was ever said of it
};

// nullopt after a complaint.
std::optional<Asked> ask(const Where& where, const std::string& text, int& code) {
  const auto name = result_name_of(text);
  if (!name) {
    std::fprintf(stderr, "%s: a result is named FACILITY/UUID\n", text.c_str());
    code = kUsage;
    return std::nullopt;
  }
  std::optional<OpenedStore> store = look(where, code);
  if (!store) return std::nullopt;
  say_how_far(*store->kv);
  auto row = find_result(*store->kv, *name);
  if (!row) {
    code = complain(row.error());
    return std::nullopt;
  }
  if (!*row) std::fprintf(stderr, "%s: nothing was ever said of this result\n", text.c_str());
  code = *row ? kOk : kFoundProblem;
  return Asked{std::move(*store), *name, std::move(*row)};
}

int show_result(const Where& where, const std::string& text, bool json) {
  int code = kOk;
  const auto asked = ask(where, text, code);
  if (!asked || !asked->row) return code;
  const auto detail = detail_of(*asked->store.kv, asked->name, *asked->row);
  if (!detail) return complain(detail.error());
  std::printf("%s%s", (json ? to_json(asked->name, *asked->row, *detail) : to_text(asked->name, *asked->row, *detail)).c_str(), json ? "\n" : "");
  return kOk;
}

int preview_erase(const Where& where, const std::string& text) {
  int code = kOk;
  const auto asked = ask(where, text, code);
  if (!asked || !asked->row) return code;
  std::printf("%zu statements would be erased for good: once more with --commit --reason TEXT\n", asked->row->statements.size());
  return kOk;
}

// Empty: it is not there.
Result<std::string> text_of_result(const Kv& kv, const ResultName& name, bool json) {
  const auto row = find_result(kv, name);
  if (!row) return row.error();
  if (!*row) return std::string();
  const auto detail = detail_of(kv, name, **row);
  if (!detail) return detail.error();
  return json ? to_json(name, **row, *detail) : to_text(name, **row, *detail);
}

}  // namespace

int list_results(const Where& where, bool json, const WalkResults& walk) {
  int code = kOk;
  std::optional<OpenedStore> store = look(where, code);
  if (!store) return code;
  say_how_far(*store->kv);
  std::optional<Error> failed;
  bool any = false;
  if (json) std::printf("[");
  const auto walked = walk(*store->kv, [&](const ResultName& name) {
    const auto text = text_of_result(*store->kv, name, json);
    if (!text) failed = text.error();
    if (!text || text->empty()) return !failed;  // gone since: the service goes on beside this
    std::printf("%s%s", json && any ? ",\n" : "", text->c_str());
    any = true;
    return true;
  });
  if (json) std::printf("]\n");
  if (!walked) return complain(walked.error());
  return failed ? complain(*failed) : kOk;
}

namespace {

int show_views(const Where& where, bool json, bool digest) {
  int code = kOk;
  std::optional<OpenedStore> store = look(where, code);
  if (!store) return code;
  const auto behind = Follower::behind(*store->kv);
  if (!behind) return complain(behind.error());
  if (digest) {
    const auto sum = views_digest(*store->kv);
    if (!sum) return complain(sum.error());
    std::printf("%s\n", hex(view(*sum)).c_str());
  } else if (json) {
    std::printf("{\"made_anew\":%s,\"blocks_behind\":%s}\n", *behind ? "false" : "true",
                *behind ? std::to_string(**behind).c_str() : "null");
  } else {
    std::printf("%s\n", !*behind ? "being made anew" : **behind == 0 ? "up to date" : fmt::format("{} blocks behind", **behind).c_str());
  }
  return kOk;
}

}  // namespace

void add_result(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("result", "One result: what is current, its history, what is odd; no values.\nExample: egret-cloud result clinic-7/6f1c1c52-0b58-4f0e-9d5a-3f7c1a2b3c4d");
  auto where = add_where(sub);
  auto json = std::make_shared<bool>(false);
  auto name = std::make_shared<std::string>();
  sub->add_option("result", *name, "FACILITY/UUID")->required();
  sub->add_flag("--json", *json, "as JSON");
  sub->callback([&chosen, where, json, name] { chosen = [where, json, name] { return show_result(*where, *name, *json); }; });
}

void add_worklist(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("worklist", "Results with something odd: missing versions, steps back, reviews that disagree.\nExample: egret-cloud worklist --facility clinic-7 --json");
  auto where = add_where(sub);
  auto json = std::make_shared<bool>(false);
  auto fac = std::make_shared<std::string>();
  sub->add_option("--facility", *fac, "of one site");
  sub->add_flag("--json", *json, "as a JSON array");
  sub->callback([&chosen, where, json, fac] {
    chosen = [where, json, fac] {
      return list_results(*where, *json, [fac](const Kv& kv, const EachResult& each) { return each_odd(kv, *fac, each); });
    };
  });
}

void add_views(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("views", "How far the views of results are behind what is committed; they can be made anew.\nExamples: egret-cloud views --json; egret-cloud views --rebuild");
  auto where = add_where(sub);
  auto json = std::make_shared<bool>(false), rebuild = std::make_shared<bool>(false), digest = std::make_shared<bool>(false);
  sub->add_flag("--json", *json, "as JSON");
  sub->add_flag("--rebuild", *rebuild, "throw them away; the service makes them anew from the records");
  sub->add_flag("--digest", *digest, "of what they say: equal on equal records, whatever the store");
  sub->callback([&chosen, where, json, rebuild, digest] {
    chosen = [where, json, rebuild, digest] {
      if (*rebuild) return control(*where, "views.rebuild", {}, *json, "the views are made anew");
      return show_views(*where, *json, *digest);
    };
  });
}

void add_erase(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("erase", "Takes a result out for good, with every review and retraction of it: bytes and views; that something was there stays provable.\n"
                                          "Copies in backups, at the site, and the document it was read from are not touched.\n"
                                          "Example: egret-cloud erase clinic-7/6f1c1c52-0b58-4f0e-9d5a-3f7c1a2b3c4d --commit --reason \"order 12/2026\"");
  auto where = add_where(sub);
  auto json = std::make_shared<bool>(false), commit = std::make_shared<bool>(false);
  auto name = std::make_shared<std::string>(), reason = std::make_shared<std::string>(), by = std::make_shared<std::string>();
  sub->add_option("result", *name, "FACILITY/UUID")->required();
  sub->add_flag("--commit", *commit, "do it; without, only say how much it is");
  sub->add_option("--reason", *reason, "why; kept, so no patient in it");
  sub->add_option("--by", *by, "who orders it; the account without");
  sub->add_flag("--json", *json, "as JSON");
  sub->callback([&chosen, where, json, commit, name, reason, by] {
    chosen = [=] {
      if (!*commit) return preview_erase(*where, *name);
      return control(*where, "result.erase", {{"result", *name}, {"reason", *reason}, {"by", who(*by)}}, *json, "erased");
    };
  });
}

}  // namespace egret::cloud::cli
