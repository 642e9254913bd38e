#include "recipe/given_keys.h"

#include <algorithm>
#include <string>
#include <vector>

#include "recipe/recipe.h"

namespace lmoe::recipe {
namespace {

using Spellings = std::vector<std::string>;

/// The spellings of every key, each list beginning with our own.
const std::vector<Spellings>& all_spellings() {
  static const std::vector<Spellings> kAll = [] {
    std::vector<Spellings> all;
    for (const FieldInfo& info : recipe_schema()) {
      Spellings names = {info.name};
      names.insert(names.end(), info.aliases.begin(), info.aliases.end());
      all.push_back(std::move(names));
    }
    return all;
  }();
  return kAll;
}

/// Keys of which one excludes the others.
const std::vector<Spellings>& contrary_keys() {
  static const std::vector<Spellings> kAll = {
      {"warmup_ratio", "warmup_steps"},
      {"save_steps", "saves_per_epoch"},
      {"eval_steps", "evals_per_epoch"},
      {"resume_from_checkpoint", "auto_resume_from_checkpoints"},
      {"train_on_inputs", "mask_prompt"},
      {"frozen_weights", "load_in_8bit", "load_in_4bit", "quantization_bit"},
      {"lora_target_modules", "lora_target_linear"},
  };
  return kAll;
}

Spellings spellings_of(std::string_view key) {
  for (const Spellings& names : all_spellings()) {
    if (names.front() == key) return names;
  }
  return {std::string(key)};
}

void keep_command_line(ConfigNode& tree, const Spellings& names) {
  const bool overridden = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    const ConfigNode* node = tree.find(name);
    return node != nullptr && from_command_line(*node);
  });
  if (!overridden) return;
  for (const std::string& name : names) {
    const ConfigNode* node = tree.find(name);
    if (node != nullptr && !from_command_line(*node)) tree.erase(name);
  }
}

}  // namespace

bool from_command_line(const ConfigNode& node) { return node.where.file == "command line"; }

const ConfigNode* given(const ConfigNode& tree, std::string_view key) {
  for (const std::string& name : spellings_of(key)) {
    const ConfigNode* node = tree.find(name);
    if (node != nullptr && !node->is_null()) return node;
  }
  return nullptr;
}

bool same_value(const ConfigNode& a, const ConfigNode& b) {
  const auto same_entry = [](const auto& x, const auto& y) {
    return x.first == y.first && same_value(x.second, y.second);
  };
  return a.kind == b.kind && a.scalar == b.scalar &&
         std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), same_value) &&
         std::equal(a.entries.begin(), a.entries.end(), b.entries.begin(), b.entries.end(),
                    same_entry);
}

void let_command_line_win(ConfigNode& tree) {
  for (const Spellings& names : all_spellings()) keep_command_line(tree, names);
  for (const Spellings& keys : contrary_keys()) {
    Spellings names;
    for (const std::string& key : keys) {
      for (std::string& name : spellings_of(key)) names.push_back(std::move(name));
    }
    keep_command_line(tree, names);
  }
}

}  // namespace lmoe::recipe
