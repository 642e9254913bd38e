// What may stand in a recipe file: the fields of a Recipe, and the flat LoRA keys that become
// fields of its mixture.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "recipe/recipe.h"

namespace lmoe::recipe {

/// Spellings people know from one-adapter tools; lora_keys.h moves them into `mixture`.
struct LoraKeys {
  std::optional<std::string> adapter;
  std::optional<int64_t> lora_r;
  std::optional<double> lora_alpha;
  std::optional<double> lora_dropout;
  std::optional<bool> use_rslora;
  std::optional<bool> use_dora;
  std::optional<std::vector<std::string>> lora_target_modules;
  std::optional<bool> lora_target_linear;
  std::optional<std::vector<int64_t>> peft_layers_to_transform;

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    const char* section = "adapter";
    visit(field("adapter", adapter, "mixture.method: lora, l-moe, …")
              .section(section)
              .alias("finetuning_type")
              .alias("tuner_type")
              .alias("fine_tune_type")
              .alias("peft_type"));
    visit(field("lora_r", lora_r, "mixture.experts.rank")
              .section(section)
              .range(1, 65536)
              .alias("lora_rank")
              .alias("r")
              .alias("rank"));
    visit(
        field("lora_alpha", lora_alpha, "mixture.experts.alpha").section(section).range(1e-6, 1e6));
    visit(field("lora_dropout", lora_dropout, "mixture.experts.dropout")
              .section(section)
              .range(0.0, 0.95)
              .alias("dropout"));
    visit(field("use_rslora", use_rslora, "mixture.experts.use_rslora").section(section));
    visit(field("use_dora", use_dora, "mixture.experts.use_dora").section(section));
    visit(field("lora_target_modules", lora_target_modules,
                "mixture.target_modules: suffixes of projections, or all-linear")
              .section(section)
              .alias("target_modules")
              .alias("lora_target")
              .alias("keys"));
    visit(field("lora_target_linear", lora_target_linear,
                "true: mixture.target_modules is all-linear")
              .section(section));
    visit(field("peft_layers_to_transform", peft_layers_to_transform,
                "mixture.layers_to_transform: layers that are adapted, counted from 0")
              .section(section)
              .alias("layers_to_transform")
              .alias("lora_layers_to_transform"));
  }
};

struct RecipeFile {
  Recipe recipe;
  LoraKeys lora;

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    recipe.for_each_field(visit);
    lora.for_each_field(visit);
  }
};

}  // namespace lmoe::recipe
