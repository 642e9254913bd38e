#include "spec/check_parts.h"

namespace lmoe::spec {

void check_prompts(const MixtureSpec& spec, const std::string& where) {
  const PromptsSpec& prompts = spec.prompts;
  if (!spec.has_prompts()) {
    LMOE_CHECK_ARG(prompts == PromptsSpec(), where,
                   ": mixture.prompts cannot act: given count 0; hint: mixture.prompts.count is "
                   "how many entries the bank has");
    return;
  }
  LMOE_CHECK_ARG(prompts.select <= prompts.count, where, ": mixture.prompts.select: given ",
                 prompts.select, ", expected at most mixture.prompts.count, ", prompts.count);
  LMOE_CHECK_ARG(prompts.triplet_coef == 0.0 || prompts.select < prompts.count, where,
                 ": mixture.prompts.triplet_coef compares keys that were found with one that was "
                 "not: given select ",
                 prompts.select, ", expected less than mixture.prompts.count, ", prompts.count);
  LMOE_CHECK_ARG(
      prompts.triplet_coef > 0.0 || prompts.triplet_margin == PromptsSpec().triplet_margin, where,
      ": mixture.prompts.triplet_margin cannot act: given triplet_coef 0");
  LMOE_CHECK_ARG(prompts.frozen <= prompts.count, where, ": mixture.prompts.frozen: given ",
                 prompts.frozen, ", expected at most mixture.prompts.count, ", prompts.count);
  LMOE_CHECK_ARG(prompts.frozen < prompts.count || !prompts.trains_keys(), where,
                 ": mixture.prompts.frozen keeps all ", prompts.count,
                 " keys as they are: given matching_coef ", prompts.matching_coef,
                 " and triplet_coef ", prompts.triplet_coef, ", expected 0 for both");
  LMOE_CHECK_ARG(
      spec.gate.source != GateSource::kLastHidden, where,
      ": mixture.prompts change what the model ends with: given gate.source last_hidden, "
      "whose first pass is that of the base alone");
  LMOE_CHECK_ARG(spec.select.kind != SelectKind::kSample, where,
                 ": mixture.prompts have positions of their own: given select.kind sample, whose "
                 "gradient knows the draws of tokens alone");
  LMOE_CHECK_ARG(!spec.select.capacity, where,
                 ": mixture.prompts would fill the capacity of experts before a document's first "
                 "token: given select.capacity ",
                 spec.select.capacity.value_or(0.0), ", expected none");
  LMOE_CHECK_ARG(!spec.schedule.staged, where,
                 ": mixture.prompts go on learning in every stage, and finished experts would no "
                 "longer meet what they learned behind: given schedule.staged true");
}

}  // namespace lmoe::spec
