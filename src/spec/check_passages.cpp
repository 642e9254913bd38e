#include "spec/check_parts.h"

namespace lmoe::spec {

void check_passages(const MixtureSpec& spec, int64_t passages) {
  const SelectSpec& select = spec.select;
  const bool is_private = select.private_experts > 0 && select.private_by == PrivateBy::kPassage;
  LMOE_CHECK_ARG(!is_private || passages > 0,
                 "[mixture] mixture.select.private_by passage cannot act: given data without "
                 "passages; hint: \"passage\": 1 in messages or parts of a prompt");
  LMOE_CHECK_ARG(!is_private || passages <= select.groups.value_or(0),
                 "[mixture] the data have more passages than mixture.select.groups: given passage ",
                 passages, ", expected at most ", select.groups.value_or(0));
  if (passages == 0) return;
  const auto refuse = [](bool is_used, const char* part) {
    LMOE_CHECK_ARG(!is_used, "[mixture] the data keep passages apart, and ", part,
                   " would let one passage decide for another: given passages, expected either "
                   "records without them or a mixture that decides token by token");
  };
  refuse(spec.gate.pool == GatePool::kPrompt, "gate.pool prompt");
  refuse(spec.has_prompts(), "mixture.prompts");
  refuse(select.capacity.has_value(), "select.capacity");
}

}  // namespace lmoe::spec
