#include "cloud/merge/result.h"

#include <algorithm>
#include <map>
#include <set>

#include "schemas/merge_rules.h"

namespace egret::cloud {
namespace {

constexpr bool by_body(const auto& a, const auto& b) {
  return a.body < b.body;
}

// The statements, sorted by kind and freed of repeats: from here on nothing depends on how they came.
struct Sorted {
  std::map<uint32_t, std::vector<Version>> versions;  // of one number: ascending by body
  std::vector<Retraction> retractions;
  std::vector<Review> reviews;
  std::set<Uuid> successors;
};

template <class T>
void once(std::vector<T>& all) {
  std::sort(all.begin(), all.end(), by_body<T, T>);
  all.erase(std::unique(all.begin(), all.end(), [](const T& a, const T& b) { return a.body == b.body; }), all.end());
}

Sorted sort(std::span<const Statement> statements) {
  Sorted out;
  struct Put {
    Sorted& out;
    void operator()(const Version& v) const {
      // [11] A version that says "entered in error" is a retraction without a reason.
      if (v.status == ResultStatus::entered_in_error) {
        out.retractions.push_back({v.number, v.body, RetractionReason::unstated});
      } else {
        out.versions[v.number].push_back(v);
      }
    }
    void operator()(const Retraction& r) const { out.retractions.push_back(r); }
    void operator()(const Review& r) const { out.reviews.push_back(r); }
    void operator()(const Successor& s) const { out.successors.insert(s.result); }
  };
  for (const Statement& s : statements) std::visit(Put{out}, s);
  for (auto& [number, same] : out.versions) once(same);
  once(out.retractions);
  once(out.reviews);
  return out;
}

// How far a result has come. A step back is no step.
int rank(ResultStatus status) {
  switch (status) {
    case ResultStatus::unknown:
    case ResultStatus::registered:
      return 0;
    case ResultStatus::preliminary:
      return 1;
    case ResultStatus::final:
    case ResultStatus::amended:
    case ResultStatus::corrected:
      return 2;
    case ResultStatus::cancelled:
      return 3;
    case ResultStatus::entered_in_error:
      return 4;
  }
  return 0;
}

bool legal(ResultStatus from, ResultStatus to) {
  if (off(Rule::step_back)) return true;
  // [10] A correction of a final result is a step, and not one back.
  if (off(Rule::correction) && rank(from) == 2) return to == from;
  return rank(to) >= rank(from);
}

// [17] The same model, run again, said something else; the site corrected nothing.
bool said_otherwise(const Version& before, const Version& after) {
  if (off(Rule::rerun)) return false;
  const bool restated = rank(after.status) <= 1 || after.status == ResultStatus::final;
  return before.model == after.model && before.model != Hash{} && before.run != after.run && before.output != after.output &&
         restated && !after.unchanged;
}

// Walks the versions upwards; what it holds at the end is current.
class Walk {
 public:
  explicit Walk(ResultView& view) : view_(view) {}

  void take(const std::vector<Version>& same) {
    const Version& next = off(Rule::two_bodies) ? same.front() : same.back();  // [4] the highest hash
    for (size_t i = 0; i + 1 < same.size(); i++) {
      // [17] The same answer of another run is a repeat.
      const bool repeat = same[i].output == next.output && same[i].status == next.status && same[i].unchanged == next.unchanged;
      if (!repeat) find(IssueKind::same_version, next.number, same[i].body);
    }
    reach(next.number);
    if (!current_) return begin(next);
    // [6] The walk goes upwards, so what is older never comes after what is newer.
    if (off(Rule::late_version)) return;
    if (!legal(current_->status, next.status)) return find(IssueKind::illegal_step, next.number, next.body);
    if (said_otherwise(*current_, next)) find(IssueKind::not_deterministic, next.number, next.body);
    step(next);
  }

  // [5] What is below and has not come is named until it does.
  void reach(uint32_t number) {
    if (number > last_ + 1 && !off(Rule::missing_version)) view_.issues.push_back({IssueKind::missing_version, last_ + 1, number - 1, {}});
    last_ = number;
  }

  void end() {
    if (!current_) return;
    view_.current = current_->body;
    view_.number = current_->number;
    view_.status = current_->status;
    view_.critical = current_->critical;
  }

  bool was_critical() const { return was_critical_; }

 private:
  void find(IssueKind kind, uint32_t number, const Hash& body) { view_.issues.push_back({kind, number, number, body}); }

  // [8] Never a final without values.
  void begin(const Version& first) {
    if (first.unchanged && !off(Rule::unchanged_values)) return find(IssueKind::unchanged_without_values, first.number, first.body);
    step(first);
  }
  void step(const Version& next) {
    const bool critical = next.unchanged ? current_->critical : next.critical;
    if (!next.unchanged) view_.values = next.body;
    current_ = next;
    current_->critical = critical;
    was_critical_ |= critical;
  }

  ResultView& view_;
  std::optional<Version> current_;
  uint32_t last_ = 0;
  bool was_critical_ = false;
};

// [19] Of two reviews the higher role counts, then the later, then the higher hash.
bool counts_less(const Review& a, const Review& b) {
  if (off(Rule::reviews_disagree)) return std::tie(a.t_us, a.body) < std::tie(b.t_us, b.body);
  return std::tie(a.role, a.t_us, a.body) < std::tie(b.role, b.t_us, b.body);
}

void apply_verdict(ResultView& view, const Review& review) {
  view.review = review.body;
  view.verdict = review.verdict;
  const bool open = rank(view.status) <= 1;
  if (review.verdict == ReviewVerdict::agreed && open) view.status = ResultStatus::final;
  if (review.verdict != ReviewVerdict::agreed_with_changes) return;
  view.status = open ? ResultStatus::final : ResultStatus::corrected;
  view.values = view.current = review.body;
}

void review(ResultView& view, const std::vector<Review>& reviews) {
  const Review* counts = nullptr;
  std::set<ReviewVerdict> verdicts;
  for (const Review& r : reviews) {
    if (!view.current || r.version_seen > view.number) continue;  // it waits for its version
    if (r.version_seen < view.number && !off(Rule::stale_review)) {
      view.issues.push_back({IssueKind::stale_review, r.version_seen, r.version_seen, r.body});
      continue;
    }
    if (r.verdict != ReviewVerdict::deferred) verdicts.insert(r.verdict);
    if (!counts || counts_less(*counts, r)) counts = &r;
  }
  if (!counts) return;
  if (verdicts.size() > 1)
    view.issues.push_back({IssueKind::reviews_disagree, view.number, view.number, counts->body});
  apply_verdict(view, *counts);
}

// Of several retractions the lowest version counts, then the higher hash.
const Retraction* first_of(const std::vector<Retraction>& all) {
  const Retraction* first = nullptr;
  for (const Retraction& r : all) {
    if (!first || r.number < first->number || (r.number == first->number && r.body > first->body)) first = &r;
  }
  return first;
}

// The retraction that counts; nullptr: none does.
const Retraction* counting(const Sorted& sorted) {
  const Retraction* first = first_of(sorted.retractions);
  // [12] It need not wait for what it retracts.
  if (first && off(Rule::early_retraction) && sorted.versions.empty()) return nullptr;
  // [13] Nothing that is stated after it brings the result back.
  const bool later = first && !sorted.versions.empty() && sorted.versions.rbegin()->first > first->number;
  return later && off(Rule::resurrection) ? nullptr : first;
}

// [11, 12, 13] Whatever is stated beside it, before or after: it was never true.
void retract(ResultView& view, const Retraction& first, const Sorted& sorted) {
  if (off(Rule::retraction)) return;
  view.retracted = true;
  view.status = ResultStatus::entered_in_error;
  view.reason = first.reason;
  for (const auto& [number, same] : sorted.versions) {
    if (number < first.number) continue;
    for (const Version& v : same) view.issues.push_back({IssueKind::resurrection, number, number, v.body});
  }
}

}  // namespace

const char* name_of(IssueKind kind) {
  switch (kind) {
    case IssueKind::missing_version:
      return "missing_version";
    case IssueKind::same_version:
      return "same_version";
    case IssueKind::illegal_step:
      return "illegal_step";
    case IssueKind::unchanged_without_values:
      return "unchanged_without_values";
    case IssueKind::resurrection:
      return "resurrection";
    case IssueKind::not_deterministic:
      return "not_deterministic";
    case IssueKind::reviews_disagree:
      return "reviews_disagree";
    case IssueKind::stale_review:
      return "stale_review";
  }
  return "unknown";
}

ResultView merge_result(std::span<const Statement> statements) {
  const Sorted sorted = sort(statements);
  ResultView view;
  Walk walk(view);
  const Retraction* retraction = counting(sorted);
  for (const auto& [number, same] : sorted.versions) {
    if (!retraction || number < retraction->number) walk.take(same);
  }
  if (retraction) walk.reach(retraction->number);
  walk.end();
  review(view, sorted.reviews);
  if (retraction) retract(view, *retraction, sorted);
  // [16] A result that was never true still says which one is.
  const bool named = !off(Rule::wrong_patient) || !retraction;
  if (named) view.successors.assign(sorted.successors.begin(), sorted.successors.end());
  const bool open = view.critical && (!view.retracted || off(Rule::one_alert));
  view.alert = open ? AlertState::open : walk.was_critical() ? AlertState::withdrawn : AlertState::none;
  std::sort(view.issues.begin(), view.issues.end());
  return view;
}

}  // namespace egret::cloud
