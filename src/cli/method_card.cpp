#include "cli/method_card.h"

#include <cstdio>

#include "base/config_node.h"
#include "base/error.h"

namespace lmoe::cli {
namespace {

std::string millions(int64_t value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f M", static_cast<double>(value) / 1e6);
  return text;
}

std::string cost_text(const spec::MixtureSpec& spec,
                      const std::string& base_name,
                      const spec::DecoderShape& shape) {
  const spec::SiteCost cost = spec::mixture_cost(spec, shape);
  const int64_t trained = spec::trained_parameters(spec, shape);
  const int64_t frozen = spec::frozen_multiply_adds(shape);
  char share[32];
  std::snprintf(share, sizeof share, "%+.1f %%",
                100.0 * static_cast<double>(cost.multiply_adds) / static_cast<double>(frozen));
  return concat(
      "# On ", base_name, " (", shape.layers, " layers, ", spec::adapted_sites(spec, shape).size(),
      " projections adapted):\n", "#   trained parameters       ", trained,
      trained < cost.parameters ? concat(" of ", cost.parameters) : "", "\n",
      "#   multiply-adds per token  ", millions(cost.multiply_adds), " beside ", millions(frozen),
      " of the frozen projections (", share, "), with only the experts computed that take part\n");
}

/// What a reward model does instead of making text.
constexpr const char* kRewardModelText =
    "# Give answers: no, it is a reward model: it judges answers, and `lmoe eval` tells how\n"
    "#   often it prefers the chosen one of a pair\n"
    "# Passes: one through the whole model for each expert of a document's task (reward_passes)\n"
    "# Reward heads are not counted above: one number per hidden unit and task; with an\n"
    "#   aggregator one matrix [width, reward_passes x width] more per task\n"
    "# Training in three phases: one expert and head for each category "
    "(recipes/dmoerm-base.yaml);\n"
    "#   from these one expert and head for each of its capabilities (mixture.adapters,\n"
    "#   init_reward_head; recipes/dmoerm.yaml); the aggregator over these, frozen "
    "(reward_passes,\n"
    "#   init_from, schedule.freeze_experts; recipes/dmoerm-aggregator.yaml)\n";

std::string abilities_text(const spec::MixtureSpec& spec) {
  return concat("# Fold into the base: ",
                spec.has_gate() ? "impossible, its weights depend on the token"
                                : "possible, it is one fixed delta; `lmoe fold` is not built yet",
                "\n# Decode fast: not built yet, it runs through LibTorch",
                "\n# Be served in a batch with others: not built yet\n");
}

}  // namespace

std::string method_card(const spec::MethodInfo& method,
                        const std::string& base_name,
                        const spec::DecoderShape& shape) {
  const spec::MixtureSpec spec = method.preset();
  Json recipe = Json::object();
  if (method.is_reward_model) recipe["objective"] = "preference";
  recipe["mixture"] = spec::write_mixture(spec);
  return concat("# ", method.name, ": ", method.summary, "\n# Defaults: ", method.reference,
                "\n#\n", cost_text(spec, base_name, shape), "#\n",
                method.is_reward_model ? kRewardModelText : abilities_text(spec),
                yaml_from_json(recipe));
}

}  // namespace lmoe::cli
