#include <algorithm>

#include "spec/check_parts.h"

namespace lmoe::spec {
namespace {

void check_stage_starts(const MixtureSpec& spec, const std::string& where) {
  const std::vector<double>& starts = spec.schedule.stage_starts;
  if (starts.empty()) return;
  LMOE_CHECK_ARG(spec.schedule.staged, where,
                 ": mixture.schedule.stage_starts cannot act: given staged false");
  LMOE_CHECK_ARG(std::ssize(starts) == spec.experts.count, where,
                 ": mixture.schedule.stage_starts: given ", starts.size(),
                 " stages, expected one for each expert, ", spec.experts.count);
  const bool ascends = std::adjacent_find(starts.begin(), starts.end(), [](double a, double b) {
                         return !(a < b);
                       }) == starts.end();
  LMOE_CHECK_ARG(starts.front() == 0.0 && ascends && starts.back() < 1.0, where,
                 ": mixture.schedule.stage_starts: given ", Json(starts).dump(),
                 ", expected rising shares of the steps from 0 on, all less than 1");
}

}  // namespace

void check_staged(const MixtureSpec& spec, const std::string& where) {
  check_stage_starts(spec, where);
  if (!spec.schedule.staged) return;
  const auto refuse = [&](bool fits, const char* why) {
    LMOE_CHECK_ARG(fits, where, ": mixture.schedule.staged ", why);
  };
  const ExpertsSpec& experts = spec.experts;
  refuse(experts.kind == ExpertKind::kLora && !experts.use_dora && experts.train_a &&
             experts.count_by_layer.empty(),
         "needs experts that learn an A and a B of their own, the same number in all layers: "
         "expected experts.kind lora without use_dora, train_a true, no count_by_layer");
  refuse(spec.gate.net == GateNet::kLinear || spec.gate.net == GateNet::kScalars,
         "needs gates with a row of their own for each expert: expected gate.net linear or "
         "scalars");
  refuse(!spec.gate.init_bias,
         "freezes rows of gates, not their biases: expected no gate.init_bias");
  refuse(experts.frozen.empty(), "cannot act on experts.frozen, whose stages would be empty");
  refuse(spec.schedule.hard_until == 0.0 && !spec.schedule.freeze_experts,
         "says which expert learns: expected hard_until 0 and freeze_experts false");
  refuse(spec.losses.empty() && spec.bias.use == BiasUse::kNone,
         "leaves experts out that losses and biases would give a load: expected losses: [] and "
         "bias.use none");
  refuse(spec.select.kind != SelectKind::kSample && spec.select.private_experts == 0,
         "may leave nobody to draw: expected no select.kind sample and no private_experts");
}

}  // namespace lmoe::spec
