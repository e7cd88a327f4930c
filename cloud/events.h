// Events: what the region's service tells in its log: one table.
// Promises: each with what it means and what to do; ids are never given to another. Leaves to others: when (their callers,
// through cloud/log.h).
#pragma once

#include "schemas/event.h"

namespace egret::cloud {

inline constexpr Phrase kNothingToDo{"Nothing to do."};
inline constexpr Phrase kLookAtStore{"Look at the store's disk (dmesg, df) or at PostgreSQL; frames wait at the sites, nothing is lost."};

inline constexpr LogEvent kEvents[] = {
    // ---- start and end ----
    {"ready", LogLevel::info, "state page", {"ready: state={0} page={1}"}, {"The store is open and the service answers."}, kNothingToDo},
    {"stopping", LogLevel::info, "", {"stopping"}, {"The service was told to stop."}, kNothingToDo},
    {"cannot_start", LogLevel::error, "why", {"cannot start: {0}"}, {"A setting, a key, the store or a port cannot be used."}, {"Mend what the message names, then start it again; sites keep their records meanwhile."}},
    {"config_mistake", LogLevel::error, "why", {"configuration: {0}"}, {"The service does not run with a configuration that has a mistake."}, {"Mend that line; egret-cloud check-config tells every mistake at once."}},
    {"ended_by_error", LogLevel::error, "what", {"the service ends: {0}"}, {"Something happened that has no handling; systemd starts it again."}, {"Send the log to the makers of Egret."}},

    // ---- the store ----
    {"store_lost", LogLevel::error, "why", {"store: {0}; frames are left to the sites until it works again"}, {"A write to the store failed; it is opened again with growing pauses."}, kLookAtStore},
    {"store_open_again", LogLevel::info, "", {"store: open again"}, {"Frames are committed again."}, kNothingToDo},
    {"frames_not_committed", LogLevel::error, "failed unknown why", {"store: {0} frames could not be committed, {1} with unknown outcome: {2}"}, {"The store works, and refused these; their sites send them again."}, {"When it comes again, run egret-cloud verify and look at the reason."}},
    {"sessions_forgotten", LogLevel::info, "sessions days", {"store: {0} sessions unused for {1} days forgotten"}, {"Keys of runs that nobody uses any more were deleted."}, kNothingToDo},
    {"views_failed", LogLevel::warn, "why", {"views: {0}"}, {"Results are committed, but not shown yet; it is tried again."}, {"When it lasts, run egret-cloud verify."}},
    {"views_unreadable", LogLevel::error, "blocks", {"views: {0} blocks cannot be read, and their results are missing: run egret-cloud verify"}, {"Stored blocks are damaged."}, {"Run egret-cloud verify; restore from a backup, or let the sites send again what they still hold."}},
    {"retention_failed", LogLevel::warn, "why", {"retention: {0}"}, {"Records past their time were not deleted; it is tried again within the hour."}, {"Look at the reason: a clock that has jumped, or the store."}},
    {"retention_expired", LogLevel::info, "records class days", {"retention: {0} of {1} were kept for {2} days and go"}, {"They were past the time that the configuration gives them."}, kNothingToDo},
    {"retention_audit", LogLevel::info, "entries days", {"retention: {0} entries of the audit log were kept for {1} days and go"}, {"They were past the time that the configuration gives them."}, kNothingToDo},

    // ---- the broker, and several reconcilers ----
    {"broker_connected", LogLevel::info, "line", {"broker: {0} line connected"}, {"Frames of this kind arrive."}, kNothingToDo},
    {"broker_lost", LogLevel::warn, "line why", {"broker: {0} line: {1}"}, {"The connection to the broker ended, or could not be made; it is tried again with growing pauses. Told once a reason."}, {"Look at the broker, its log, and broker.* in cloud.toml; sites keep their records meanwhile."}},
    {"shards_trouble", LogLevel::warn, "why", {"shards: {0}; what was taken is taken on"}, {"The reconcilers cannot agree on who takes what for now."}, kLookAtStore},
    {"shards_changed", LogLevel::info, "mine all reconcilers", {"shards: {0} of {1}, {2} reconcilers"}, {"A reconciler came or went, and the sites were divided anew."}, kNothingToDo},

    {"metrics_otlp", LogLevel::warn, "why", {"metrics: the OTLP receiver takes nothing: {0}"}, {"Nobody receives the service's metrics by OTLP; records are not touched."}, {"Look at metrics.otlp in cloud.toml and at its receiver."}},
    {"metrics_otlp_again", LogLevel::info, "", {"metrics: the OTLP receiver takes them again"}, {"What was not taken meanwhile is not sent again; each set says all."}, kNothingToDo},
    {"timeline_failed", LogLevel::warn, "why", {"timeline: {0}"}, {"The past of the sites on the dashboard gets a hole; records are not touched."}, kLookAtStore},
    {"timeline_not_kept", LogLevel::warn, "why", {"timeline: the last minute is not kept: {0}"}, {"The dashboard's past lacks the minute in which the service stopped."}, kNothingToDo},

    // ---- who asks, and the audit log ----
    {"api_refused", LogLevel::info, "who role method path status", {"api: who={0} role={1} asked={2} {3} status={4}"}, {"A request was refused before it was looked at: no token, a wrong role, no such path, or one of a web page."}, {"Many of them from one name: a token that has ended. Many without a name: somebody tries the door."}},
    {"api_changed", LogLevel::info, "who role method path status", {"api: who={0} role={1} asked={2} {3} status={4}"}, {"Somebody changed something; who and about what stands in the audit log."}, kNothingToDo},
    {"api_read", LogLevel::debug, "who role method path status", {"api: who={0} role={1} asked={2} {3} status={4}"}, {"Somebody read something; who and about what stands in the audit log."}, kNothingToDo},
    {"tokens_unreadable", LogLevel::error, "why", {"api: nobody's token opens anything: {0}"}, {"The file of tokens cannot be read."}, {"Mend it, or put it back from the backup; egret-cloud token ls tells whether it can be read."}},
    {"audit_closed", LogLevel::error, "why", {"audit: the log cannot be written, nothing is shown or changed until it can: {0}"}, {"Nobody reads or changes anything that would not stand in the audit log."}, kLookAtStore},
    {"audit_open", LogLevel::info, "", {"audit: the log can be written again"}, {"Requests are answered again."}, kNothingToDo},
    {"audit_end_unwritten", LogLevel::error, "command why", {"audit: how {0} ended cannot be written: {1}"}, {"That it was asked for stands in the audit log; its outcome does not."}, {"Look at what the command was to do, and at the store."}},
    {"audit_root", LogLevel::info, "number root", {"audit: root of today: {0}:{1}"}, {"What vouches for the audit log until now: keep the service's log where whoever changes the store cannot write."}, kNothingToDo},
    {"audit_no_root", LogLevel::warn, "why", {"audit: no root of today: {0}"}, {"The audit log goes on, but today's root was not made."}, {"Look at the region's statement key and at the store."}},

    // ---- orders ----
    {"order_given", LogLevel::info, "number command by", {"order {0}: {1} by {2}"}, {"Somebody ordered a recall, or took one back."}, kNothingToDo},
    {"restriction_given", LogLevel::info, "number command by", {"restriction {0}: {1} by {2}"}, {"Somebody restricted a patient's data, or lifted that."}, kNothingToDo},
    {"alert_acknowledged", LogLevel::info, "by", {"alert acknowledged by {0}"}, {"Somebody has taken a critical finding."}, kNothingToDo},
    {"erased", LogLevel::info, "statements by", {"erased: {0} statements by order of {1}"}, {"A result was erased."}, kNothingToDo},

    // ---- telling others ----
    {"alerts_failed", LogLevel::warn, "why", {"alerts: {0}"}, {"Alerts could not be brought up to date; it is tried again at once."}, kLookAtStore},
    {"alerts_unread", LogLevel::error, "output why", {"alerts: {0}: {1}"}, {"What this output is to tell cannot be read from the store."}, kLookAtStore},
    {"alerts_untold", LogLevel::warn, "output why", {"alerts: {0}: {1}; tried again until it is taken"}, {"Critical findings do not reach this output for now."}, {"Look at the receiver and at alerts.* in cloud.toml; tell whoever waits for findings."}},
    {"alerts_told_again", LogLevel::info, "output failures", {"alerts: {0}: taken again after {1} failures"}, {"Everything that waited is being told, in order."}, kNothingToDo},
    {"export_done", LogLevel::info, "export client resources types", {"export {0}: for {1}: {2} resources of {3} types"}, {"Its files can be taken."}, kNothingToDo},
    {"export_failed", LogLevel::warn, "export why", {"export {0}: {1}"}, {"Whoever asked is told so."}, {"It may be asked for again; look at the room on the disk."}},
    {"export_not_deleted", LogLevel::warn, "export why", {"export {0}: its folder cannot be deleted: {1}"}, {"Files with patients' data lie in exports/ longer than they should."}, {"Delete that folder by hand, and look at its owner and mode."}},
};
static_assert([] {
  for (const LogEvent& event : kEvents) {
    if (find_event(kEvents, event.id) != &event) return false;
  }
  return true;
}(), "each event has an id of its own");

}  // namespace egret::cloud
