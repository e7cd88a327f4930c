// Control: what changes the store by hand, as functions of one open store.
// Promises: who asked for it, and how it ended, is in the audit log, or it is not done; the same function runs in the command line (store opened by it) and in the running service (asked over its
// control socket), so both say the same.
// Leaves to others: opening (access), the socket (server), words for a person (cli).
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "cloud/access.h"

namespace egret::cloud {

// Names and values, as they travel over the control socket: one `name=value` a line, a line end
// in a value as \n and \ as \\.
using ControlArgs = std::map<std::string, std::string>;
struct ControlAnswer {
  int code = 0;      // exit code of the command line
  std::string text;  // one JSON object, or a sentence that says what is wrong
};
// Each may have {by}: who asks, for the log.
// facility.add {fac,key[,district][,name]} · facility.set {fac[,district][,name]} · facility.revoke {fac} · facility.block {fac,on} · backup {dir} ·
// recall.commit {models,model,version,from,to,fac,reason,by} · recall.undo {id,reason,by} · result.erase {result,reason,by} · alert.acknowledge {result,by,note} ·
// retention.run {telemetry,events,documents,results,audit (days),clock_is_right} · hold.add {fac,class,result,reason,by} ·
// hold.release {id,reason,by} · restrict.add {patient,reason,by} · restrict.lift {id,reason,by} ·
// quarantine.retry {fac,id} · remap.commit {fac,id,digest} · views.rebuild ·
// backup.confirm {dir,same_filesystem,records}: check_copy() has found it good, and so many records in it · incident.close {fac,id,note}
ControlAnswer run_control(const std::string& name, const ControlArgs& args, OpenedStore& store, const std::filesystem::path& store_at, WallTime now);

std::string encode_args(const ControlArgs& args);
ControlArgs decode_args(const std::string& text);
std::filesystem::path control_socket(const std::filesystem::path& state_dir);

}  // namespace egret::cloud
