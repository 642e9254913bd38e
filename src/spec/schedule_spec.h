// What changes over the course of training: `schedule` of the mixture grammar.
#pragma once

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
  }
};

}  // namespace lmoe::spec
