// Experts that learn one after another: `schedule.staged`.
#include <ATen/ATen.h>

#include "mixture/expert_bank.h"
#include "mixture/gate.h"
#include "mixture/mixture.h"

namespace lmoe::mixture {
namespace {

int64_t active_experts(const Gate& gate) {
  return static_cast<int64_t>(gate.active_experts().item<float>());
}

}  // namespace

bool Mixture::enter_stage(double progress) const {
  const int64_t active = spec_.schedule.stage_at(progress, spec_.experts.count) + 1;
  bool has_begun = false;
  for (const auto& gate : gates()) {
    has_begun = has_begun || active_experts(*gate) != active;
    gate->let_take_part(active);
  }
  return has_begun;
}

std::vector<PartOfParameter> Mixture::parts_of_other_stages() const {
  std::vector<PartOfParameter> parts;
  const auto all_gates = gates();
  const int64_t stage = active_experts(*all_gates.front()) - 1;
  for (int64_t e = 0; e < spec_.experts.count; ++e)
    if (e != stage) add_parts(e, parts);
  // A number before an expert that learns says nothing that its B does not: it stays 1 until the
  // expert is done.
  const bool own_row_waits = spec_.normalize == spec::Normalize::kBounded;
  for (const auto& gate : all_gates) {
    const at::Tensor rows = gate->tensors().front().tensor;
    const auto sites = static_cast<int64_t>(gate->sites().size());
    const at::Tensor by_expert = rows.view({sites, gate->experts(), -1});
    for (int64_t e = own_row_waits ? stage : stage + 1; e < gate->experts(); ++e)
      parts.push_back({rows, by_expert.select(/*dim=*/1, e)});
  }
  return parts;
}

}  // namespace lmoe::mixture
