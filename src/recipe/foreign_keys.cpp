#include "recipe/foreign_keys.h"

#include <algorithm>

#include "base/error.h"
#include "recipe/given_keys.h"

namespace lmoe::recipe {
namespace {

struct Refusal {
  const char* key;
  const char* harmless;  ///< this value is what lmoe does anyway; empty: none is
  ErrorCode code;
  const char* reason;
};

constexpr ErrorCode kNotBuilt = ErrorCode::kUnsupported;
constexpr ErrorCode kOther = ErrorCode::kInvalidArgument;
constexpr const char* kLocal = "lmoe sends nothing anywhere; curves are in report.html";

constexpr Refusal kRefusals[] = {
    {"scale", "", kOther,
     "multiplies B·A directly in MLX-LM and is not lora_alpha; hint: lora_alpha = scale x lora_r"},
    {"resume_adapter_file", "", kOther,
     "loads weights only; hint: resume_from_checkpoint goes on bit for bit, with optimizer, "
     "schedule and place in the data"},
    {"rank_pattern", "", kNotBuilt, "ranks that differ by module are not built"},
    {"alpha_pattern", "", kNotBuilt, "alphas that differ by module are not built"},
    {"modules_to_save", "", kNotBuilt, "training whole modules is not built"},
    {"lora_modules_to_save", "", kNotBuilt, "training whole modules is not built"},
    {"bias", "none", kNotBuilt, "training biases is not built"},
    {"tf32", "false", kNotBuilt, "TF32 exists on GPUs only, which are not built yet"},
    {"fp16", "false", kNotBuilt, "float16 is not built; hint: bf16: auto"},
    {"mask_history", "false", kNotBuilt, "loss on the last answer only is not built"},
    {"dataset_prepared_path", "", kNotBuilt,
     "a cache of tokens is not built; data is tokenised at each start"},
    {"wandb_project", "", kNotBuilt, kLocal},
    {"push_to_hub", "false", kNotBuilt, kLocal},
};

void rename_note(ReadReport& report, const std::string& from, const std::string& to) {
  report.notes.push_back("\"" + from + "\" read as \"" + to + "\"");
}

void rewrite_mask_prompt(ConfigNode& tree, ReadReport& report) {
  const ConfigNode* mask = tree.find("mask_prompt");
  if (mask == nullptr || mask->is_null()) return;
  LMOE_CHECK_ARG(mask->scalar == "true" || mask->scalar == "false", "[config] ", mask->where.text(),
                 ": mask_prompt: given \"", mask->scalar, "\", expected true or false");
  ConfigNode inverse = *mask;
  inverse.scalar = mask->scalar == "true" ? "false" : "true";
  rename_note(report, "mask_prompt: " + mask->scalar, "train_on_inputs: " + inverse.scalar);
  if (const ConfigNode* present = given(tree, "train_on_inputs")) {
    LMOE_CHECK_ARG(same_value(*present, inverse), "[config] ", mask->where.text(),
                   ": \"mask_prompt: ", mask->scalar,
                   "\" means \"train_on_inputs: ", inverse.scalar, "\", but ",
                   present->where.text(), " says ", present->scalar);
  } else {
    tree.set("train_on_inputs", std::move(inverse));
  }
  tree.erase("mask_prompt");
}

/// What bitsandbytes does to a frozen base, in blocks of our own.
void rewrite_quantisation(ConfigNode& tree, ReadReport& report) {
  struct Spelling {
    const char *key, *value, *off, *ours;
  };
  constexpr Spelling kSpellings[] = {{"load_in_8bit", "true", "false", "int8"},
                                     {"load_in_4bit", "true", "false", "int4"},
                                     {"quantization_bit", "8", "", "int8"},
                                     {"quantization_bit", "4", "", "int4"}};
  for (const auto& [key, value, off, ours] : kSpellings) {
    const ConfigNode* found = tree.find(key);
    if (found == nullptr) continue;
    const ConfigNode node = *found;
    const bool says_nothing =
        node.is_null() || (node.is_scalar() && !node.scalar.empty() && node.scalar == off);
    if (!says_nothing && node.scalar != value)
      continue;  // another number of bits, or refused below
    tree.erase(key);
    if (says_nothing) continue;
    rename_note(report, concat(key, ": ", value), concat("frozen_weights: ", ours));
    ConfigNode kept = node;
    kept.scalar = ours;
    const ConfigNode* present = given(tree, "frozen_weights");
    LMOE_CHECK_ARG(present == nullptr || same_value(*present, kept), "[config] ", node.where.text(),
                   ": \"", key, ": ", value, "\" means \"frozen_weights: ", ours, "\", but ",
                   present->where.text(), " says ", present->scalar);
    tree.set("frozen_weights", std::move(kept));
  }
  for (const auto& [key, value, off, ours] : kSpellings) {
    const ConfigNode* left = tree.find(key);
    LMOE_CHECK_ARG(left == nullptr, "[config] ", left->where.text(), ": ", key, ": given \"",
                   left->scalar, "\", expected ", off[0] != 0 ? "true or false" : "8 or 4");
  }
}

void rewrite_optimizer(const ConfigNode& tree) {
  const ConfigNode* optimizer = tree.find("optimizer");
  if (optimizer == nullptr || !optimizer->is_map()) return;
  fail(ErrorCode::kInvalidArgument, "[config] ", optimizer->where.text(),
       ": optimizer: given torchtune's mapping, expected a name; hint: optimizer.lr is the key "
       "learning_rate, optimizer.weight_decay is weight_decay");
}

void rewrite_report_to(ConfigNode& tree) {
  ConfigNode* report_to = tree.find("report_to");
  if (report_to == nullptr || report_to->is_null()) return;
  if (report_to->is_list() && report_to->items.size() == 1) {
    const ConfigNode only = report_to->items.front();
    *report_to = only;
  }
  LMOE_CHECK_ARG(report_to->is_scalar() && report_to->scalar == "none", "[config] ",
                 report_to->where.text(), ": report_to: given ",
                 report_to->is_scalar() ? report_to->scalar : "a list", ", expected none; ",
                 kLocal);
}

void rewrite_dtype(ConfigNode& tree, ReadReport& report) {
  for (const char* key : {"bf16", "dtype", "torch_dtype"}) {
    ConfigNode* node = tree.find(key);
    if (node == nullptr) continue;
    const bool is_bf16 = node->scalar == "bfloat16" || node->scalar == "bf16";
    if (!is_bf16 && node->scalar != "float32" && node->scalar != "fp32") continue;
    const std::string value = is_bf16 ? "true" : "false";
    rename_note(report, key + (": " + node->scalar), "bf16: " + value);
    node->scalar = value;
  }
}

/// A path stands for an entry with that path.
void rewrite_dataset_paths(ConfigNode& tree, const char* key) {
  ConfigNode* datasets = const_cast<ConfigNode*>(given(tree, key));
  if (datasets == nullptr) return;
  const auto wrap = [](ConfigNode& node) {
    if (!node.is_scalar()) return;
    ConfigNode entry;
    entry.where = node.where;
    entry.key_where = node.key_where;
    entry.set("path", node);
    node = std::move(entry);
  };
  wrap(*datasets);
  for (ConfigNode& item : datasets->items) wrap(item);
}

}  // namespace

void refuse_foreign_keys(ConfigNode& tree) {
  for (const Refusal& refusal : kRefusals) {
    const ConfigNode* node = tree.find(refusal.key);
    if (node == nullptr) continue;
    const bool says_nothing = node->is_null() || (node->is_scalar() && !node->scalar.empty() &&
                                                  node->scalar == refusal.harmless);
    if (!says_nothing)
      fail(refusal.code, "[config] ", node->where.text(), ": \"", refusal.key,
           node->is_scalar() ? ": " + node->scalar : "", "\" ",
           refusal.code == kNotBuilt ? "cannot be honoured: " : "", refusal.reason);
    tree.erase(refusal.key);
  }
}

void rewrite_foreign_keys(ConfigNode& tree, ReadReport& report) {
  rewrite_mask_prompt(tree, report);
  rewrite_quantisation(tree, report);
  rewrite_optimizer(tree);
  rewrite_report_to(tree);
  rewrite_dtype(tree, report);
  rewrite_dataset_paths(tree, "datasets");
  rewrite_dataset_paths(tree, "eval_datasets");
}

}  // namespace lmoe::recipe
