#include "recipe/lora_keys.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "recipe/given_keys.h"
#include "spec/methods/methods.h"

namespace lmoe::recipe {
namespace {

ConfigNode list_like(const ConfigNode& node) {
  ConfigNode list;
  list.kind = ConfigNode::Kind::kList;
  list.where = node.where;
  list.key_where = node.key_where;
  return list;
}

void append(ConfigNode& list, const std::string& text) {
  ConfigNode item;
  item.kind = ConfigNode::Kind::kScalar;
  item.scalar = text;
  item.where = list.where;
  list.items.push_back(std::move(item));
}

/// Any spelling of target modules as a list of names.
ConfigNode targets_as_list(const ConfigNode& node) {
  ConfigNode list = list_like(node);
  if (node.is_scalar() && (node.scalar == "all-linear" || node.scalar == "all")) {
    for (const std::string& name : spec::all_seven_projections()) append(list, name);
  } else if (node.is_map()) {
    for (const auto& [name, wanted] : node.entries) {
      LMOE_CHECK_ARG(wanted.scalar == "true" || wanted.scalar == "false", "[config] ",
                     wanted.where.text(), ": target module ", name, ": given \"", wanted.scalar,
                     "\", expected true or false");
      if (wanted.scalar == "true") append(list, name);
    }
  } else if (node.is_scalar()) {
    std::string name;
    for (const char c : node.scalar + ",") {
      if (c == ',' && !name.empty()) append(list, std::exchange(name, ""));
      if (c != ',' && std::isspace(static_cast<unsigned char>(c)) == 0) name += c;
    }
  } else {
    list.items = node.items;
  }
  return list;
}

/// Sets section.<path> to what the flat key says.
void place(ConfigNode& section,
           const std::vector<std::string>& path,
           const std::string& key,
           const ConfigNode& value) {
  ConfigNode* node = &section;
  std::string name = "mixture";
  for (const std::string& part : path) {
    LMOE_CHECK_ARG(node->is_map() || node->is_null(), "[config] ", node->where.text(), ": ", name,
                   ": expected a mapping of keys");
    ConfigNode* child = node->find(part);
    node = child != nullptr ? child : &node->set(part, ConfigNode{});
    name += "." + part;
  }
  if (node->is_null() || (from_command_line(value) && !from_command_line(*node))) {
    *node = value;
    return;
  }
  const bool overridden = from_command_line(*node) && !from_command_line(value);
  LMOE_CHECK_ARG(overridden || same_value(*node, value), "[config] ", value.where.text(), ": \"",
                 key, "\" and \"", name, "\" (", node->where.text(),
                 ") are the same field with different values");
}

ConfigNode method_name(const ConfigNode& adapter, ReadReport& report) {
  ConfigNode method = adapter;
  std::transform(method.scalar.begin(), method.scalar.end(), method.scalar.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (method.scalar == "qlora")
    fail(ErrorCode::kUnsupported, "[config] ", adapter.where.text(),
         ": adapter: a frozen base in 4 bits is not built: given qlora, expected lora");
  if (method.scalar != adapter.scalar)
    report.notes.push_back("\"adapter: " + adapter.scalar +
                           "\" read as \"adapter: " + method.scalar + "\"");
  return method;
}

void check_linear_switch(const ConfigNode& tree) {
  const ConfigNode* all = given(tree, "lora_target_linear");
  const ConfigNode* targets = given(tree, "lora_target_modules");
  if (all == nullptr || targets == nullptr || all->scalar != "true") return;
  ConfigNode everything = list_like(*targets);
  for (const std::string& name : spec::all_seven_projections()) append(everything, name);
  LMOE_CHECK_ARG(same_value(targets_as_list(*targets), everything), "[config] ", all->where.text(),
                 ": \"lora_target_linear: true\" contradicts lora_target_modules (",
                 targets->where.text(), "); hint: keep one of them");
}

}  // namespace

void rewrite_targets(ConfigNode& tree) {
  check_linear_switch(tree);
  if (const ConfigNode* targets = given(tree, "lora_target_modules"))
    *const_cast<ConfigNode*>(targets) = targets_as_list(*targets);
}

ConfigNode mixture_section(const ConfigNode& tree, ReadReport& report) {
  ConfigNode section;
  section.where = tree.where;
  if (const ConfigNode* given_section = tree.find("mixture")) section = *given_section;
  if (section.is_null()) section.kind = ConfigNode::Kind::kMap;
  LMOE_CHECK_ARG(section.is_map(), "[config] ", section.where.text(),
                 ": mixture: expected a mapping of keys; hint: mixture: {method: l-moe}");
  if (const ConfigNode* adapter = given(tree, "adapter"))
    place(section, {"method"}, "adapter", method_name(*adapter, report));
  const std::pair<const char*, std::vector<std::string>> moves[] = {
      {"lora_r", {"experts", "rank"}},
      {"lora_alpha", {"experts", "alpha"}},
      {"lora_dropout", {"experts", "dropout"}},
      {"use_rslora", {"experts", "use_rslora"}},
      {"use_dora", {"experts", "use_dora"}},
      {"lora_target_modules", {"target_modules"}},
      {"peft_layers_to_transform", {"layers_to_transform"}}};
  for (const auto& [key, path] : moves) {
    if (const ConfigNode* value = given(tree, key)) place(section, path, key, *value);
  }
  if (const ConfigNode* all = given(tree, "lora_target_linear"); all && all->scalar == "true") {
    ConfigNode everything = list_like(*all);
    for (const std::string& name : spec::all_seven_projections()) append(everything, name);
    place(section, {"target_modules"}, "lora_target_linear", everything);
  }
  return section;
}

}  // namespace lmoe::recipe
