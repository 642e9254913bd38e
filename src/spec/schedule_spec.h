// What changes over the course of training: `schedule` of the mixture grammar.
#pragma once

#include <cstdint>
#include <vector>

#include "base/options.h"

namespace lmoe::spec {

struct ScheduleSpec {
  /// For the first steps, this share of all, each document goes to the expert of its task with
  /// weight 1, and the gates neither decide nor learn (LoRA-Mixer's hard stage).
  double hard_until = 0.0;
  /// After them the experts stay as they are and the gates alone learn; with hard_until 0 from the
  /// start.
  bool freeze_experts = false;
  /// From this share of the steps on the gates stay as they are and the experts alone learn: a
  /// router that never settles takes their specialities away again (moe-cl-theory.md).
  double freeze_gates_from = 1.0;
  /// Experts learn one after another: in its stage an expert learns alone, earlier ones stay as
  /// they are, later ones take no part yet (ScaleZero, arXiv 2509.07945).
  bool staged = false;
  /// Shares of the steps at which the experts' stages begin, the first at 0. Empty: equal shares.
  std::vector<double> stage_starts;

  /// Whose stage it is of `experts` when `progress` of the steps is done.
  int64_t stage_at(double progress, int64_t experts) const;

  bool never_trains_experts() const { return freeze_experts && hard_until == 0.0; }

  bool operator==(const ScheduleSpec&) const = default;

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("hard_until", hard_until,
                "share of the steps in which documents go to the expert of their task")
              .range(0.0, 1.0));
    visit(field("freeze_experts", freeze_experts, "after those the gates alone learn"));
    visit(field("freeze_gates_from", freeze_gates_from,
                "share of the steps after which the gates stay as they are")
              .range(0.0, 1.0));
    visit(field("staged", staged, "experts learn one after another, each in a stage of its own"));
    visit(field("stage_starts", stage_starts,
                "shares of the steps at which the stages begin; default: equal ones"));
  }
};

}  // namespace lmoe::spec
