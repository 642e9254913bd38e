#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "spec/method_info.h"
#include "spec/methods/methods.h"
#include "spec/short_spellings.h"

namespace lmoe::spec {
namespace {

constexpr const char* kDefaultMethod = "l-moe";

const MethodInfo& method_of(const ConfigNode& section) {
  const ConfigNode* method = section.find("method");
  if (method == nullptr) return find_method(kDefaultMethod);
  LMOE_CHECK_ARG(method->is_scalar(), "[config] ", method->where.text(),
                 ": mixture.method: expected a name; see `lmoe methods`");
  try {
    return find_method(method->scalar);
  } catch (const Error& error) {
    fail(error.code(), "[config] ", method->where.text(),
         ": mixture.method: ", without_operation(error.what()));
  }
}

void refuse_unknown_keys(const ConfigNode& section) {
  std::vector<std::string> known = short_spellings();
  known.emplace_back("adapters");
  MixtureSpec{}.for_each_field([&](auto&& item) {
    known.push_back(item.info.name);
    known.insert(known.end(), item.info.aliases.begin(), item.info.aliases.end());
  });
  for (const auto& [key, value] : section.entries) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::string nearest = nearest_name(key, known);
    fail(ErrorCode::kInvalidArgument, "[config] ", value.key_where.text(),
         ": unknown key \"mixture.", key, "\"",
         nearest.empty() ? "" : "; nearest is \"mixture." + nearest + "\"");
  }
}

/// `losses: {0: {coef: 0.1}}`, which is what `mixture.losses.0.coef=0.1` makes, changes items of
/// the preset's list.
void expand_loss_changes(ConfigNode& section, const MixtureSpec& preset) {
  ConfigNode* losses = section.find("losses");
  const auto is_position = [](const auto& entry) {
    return !entry.first.empty() && entry.first.find_first_not_of("0123456789") == std::string::npos;
  };
  if (losses == nullptr || losses->entries.empty() ||
      !std::all_of(losses->entries.begin(), losses->entries.end(), is_position))
    return;
  ConfigNode list = config_from_json(write_options(preset.losses), losses->where.file);
  list.where = losses->where;
  list.key_where = losses->key_where;
  for (const auto& [key, change] : losses->entries) {
    size_t index = 0;
    const auto read = std::from_chars(key.data(), key.data() + key.size(), index);
    LMOE_CHECK_ARG(read.ec == std::errc{} && index <= list.items.size(), "[config] ",
                   change.key_where.text(), ": mixture.losses.", key, ": given position ", key,
                   " in a list of ", list.items.size(), "; hint: count from 0");
    if (index == list.items.size()) list.items.emplace_back();
    if (!change.is_map()) {
      list.items[index] = change;
      continue;
    }
    for (const auto& [name, value] : change.entries) list.items[index].set(name, value);
  }
  *losses = std::move(list);
}

/// "all-linear" (PEFT, axolotl) and "all" (LLaMA-Factory) name all seven projections; a mapping
/// {q_proj: true, …} is how MoE-PEFT lists them.
void expand_targets(ConfigNode& section, ReadReport& report) {
  for (const char* key : {"target_modules", "lora_target_modules"}) {
    ConfigNode* targets = section.find(key);
    if (targets == nullptr) continue;
    ConfigNode list;
    list.kind = ConfigNode::Kind::kList;
    list.where = targets->where;
    list.key_where = targets->key_where;
    const auto add = [&](const std::string& name, const ConfigNode& from) {
      ConfigNode item = from;
      item.kind = ConfigNode::Kind::kScalar;
      item.scalar = name;
      list.items.push_back(std::move(item));
    };
    if (targets->is_scalar() && (targets->scalar == "all-linear" || targets->scalar == "all")) {
      for (const std::string& name : all_seven_projections()) add(name, *targets);
      report.notes.push_back(
          concat("\"mixture.", key, ": ", targets->scalar, "\" read as all seven projections"));
    } else if (targets->is_map()) {
      for (const auto& [name, value] : targets->entries) {
        LMOE_CHECK_ARG(value.is_scalar() && (value.scalar == "true" || value.scalar == "false"),
                       "[config] ", value.where.text(), ": mixture.", key, ".", name, ": given \"",
                       value.scalar, "\", expected true or false");
        if (value.scalar == "true") add(name, value);
      }
    } else {
      continue;
    }
    *targets = std::move(list);
  }
}

/// `adapters: {name: folder}` becomes experts.names and experts.adapters, in its order.
void expand_adapters(ConfigNode& section) {
  ConfigNode* adapters = section.find("adapters");
  if (adapters == nullptr) return;
  LMOE_CHECK_ARG(adapters->is_map() && !adapters->entries.empty(), "[config] ",
                 adapters->where.text(), ": mixture.adapters: expected {name: folder, ...}");
  ConfigNode names, folders;
  for (ConfigNode* list : {&names, &folders}) {
    list->kind = ConfigNode::Kind::kList;
    list->where = list->key_where = adapters->where;
  }
  for (const auto& [name, folder] : adapters->entries) {
    ConfigNode item = folder;
    folders.items.push_back(item);
    item.kind = ConfigNode::Kind::kScalar;
    item.scalar = name;
    names.items.push_back(std::move(item));
  }
  section.erase("adapters");
  ConfigNode* experts = section.find("experts");
  if (experts == nullptr) experts = &section.set("experts", ConfigNode{});
  for (const char* key : {"names", "adapters"})
    LMOE_CHECK_ARG(experts->find(key) == nullptr, "[config] ", folders.where.text(),
                   ": mixture.adapters and mixture.experts.", key, " say the same");
  experts->set("names", std::move(names));
  experts->set("adapters", std::move(folders));
}

/// A section that only turns top_k on means the usual top-k, whose weights sum to one.
void renormalize_new_top_k(const ConfigNode& section,
                           const MixtureSpec& preset,
                           MixtureSpec& spec,
                           ReadReport& report) {
  const bool is_new =
      spec.select.kind == SelectKind::kTopK && preset.select.kind == SelectKind::kAll;
  const bool only_masks = spec.gate.source == GateSource::kLastHidden;  // x-lora.md
  if (!is_new || only_masks || section.find("normalize") != nullptr ||
      spec.normalize != Normalize::kSoftmax)
    return;
  spec.normalize = Normalize::kRenormalize;
  report.notes.emplace_back(
      "\"mixture.select.kind: top_k\" sets \"mixture.normalize: renormalize\"; set normalize to "
      "softmax to keep the weights as they are");
}

}  // namespace

MixtureSpec read_mixture(const ConfigNode& section, ReadReport& report) {
  LMOE_CHECK_ARG(section.is_map() || section.is_null(), "[config] ", section.where.text(),
                 ": mixture: given \"", section.scalar, "\", expected a mapping of keys");
  refuse_unknown_keys(section);
  ConfigNode tree = section;
  rewrite_method_key(tree, report);
  const MixtureSpec preset = method_of(tree).preset();
  rewrite_short_spellings(tree, preset, report);
  expand_loss_changes(tree, preset);
  expand_targets(tree, report);
  expand_adapters(tree);
  MixtureSpec spec = preset;
  OptionReader(report).read(tree, spec, "mixture");
  renormalize_new_top_k(tree, preset, spec, report);
  if (!spec.experts.adapters.empty()) spec.experts.count = std::ssize(spec.experts.adapters);
  check_mixture(spec, section.where.file.empty() ? "the preset" : section.where.text());
  return spec;
}

}  // namespace lmoe::spec
