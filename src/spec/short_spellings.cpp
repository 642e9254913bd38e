#include "spec/short_spellings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include "base/error.h"

namespace lmoe::spec {
namespace {

struct Spelling {
  const char* key;
  const char* field;
};

constexpr std::array kMethodKeys = {Spelling{"routing_strategy", "method"}};

constexpr std::array kFieldKeys = {
    Spelling{"num_experts", "experts.count"},
    Spelling{"num_local_experts", "experts.count"},
    Spelling{"lora_num_experts", "experts.count"},
    Spelling{"rank", "experts.rank"},
    Spelling{"top_k", "select.k"},
    Spelling{"num_experts_per_tok", "select.k"},
    Spelling{"lora_router_top_k", "select.k"},
    Spelling{"router_aux_loss_coef", "losses.0.coef"},
    Spelling{"lora_router_aux_loss_coef", "losses.0.coef"},
    Spelling{"temperature", "gate.temperature"},
    Spelling{"softmax_temperature", "gate.temperature"},
    Spelling{"lora_router_temperature", "gate.temperature"},
    Spelling{"router_init_range", "gate.init_range"},
    Spelling{"top_k_lora", "select.k"},
    Spelling{"xlora_depth", "gate.depth"},
    Spelling{"xlora_size", "gate.hidden_size"},
    Spelling{"xlora_dropout_p", "gate.dropout"},
    Spelling{"layerwise_scalings", "gate.layerwise"},
    Spelling{"scaling_pass_value", "gate.first_pass_weight"},
};

constexpr const char* kRouterLoss = "router_loss";

struct Placement {
  Spelling spelling;
  ConfigNode value;
};

std::optional<size_t> position(const std::string& text) {
  size_t index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return index;
}

/// Calls `visit` for each part of a dotted path.
template <class Visit>
void for_each_part(std::string_view path, Visit&& visit) {
  while (!path.empty()) {
    const size_t dot = path.find('.');
    visit(std::string(path.substr(0, dot)));
    path.remove_prefix(dot == std::string_view::npos ? path.size() : dot + 1);
  }
}

const ConfigNode* find_field(const ConfigNode& section, std::string_view path) {
  const ConfigNode* node = &section;
  for_each_part(path, [&](const std::string& part) {
    if (node == nullptr) return;
    if (node->is_list()) {
      const auto index = position(part);
      node = index && *index < node->items.size() ? &node->items[*index] : nullptr;
    } else {
      node = node->find(part);
    }
  });
  return node;
}

void place_field(ConfigNode& section, std::string_view path, const ConfigNode& value) {
  ConfigNode* node = &section;
  for_each_part(path, [&](const std::string& part) {
    if (node == nullptr || node->is_scalar()) {
      node = nullptr;  // wrong already; reading the field will say so
    } else if (node->is_list()) {
      const size_t index = position(part).value_or(0);
      if (index >= node->items.size()) node->items.resize(index + 1);
      node = &node->items[index];
    } else {
      ConfigNode* child = node->find(part);
      node = child != nullptr ? child : &node->set(part, ConfigNode{});
    }
  });
  if (node != nullptr) *node = value;
}

[[noreturn]] void refuse_conflict(const std::string& key,
                                  const ConfigNode& value,
                                  const std::string& other,
                                  const ConfigNode& other_value) {
  fail(ErrorCode::kInvalidArgument, "[config] ", value.where.text(), ": \"mixture.", key,
       "\" and \"mixture.", other, "\" (", other_value.where.text(),
       ") are the same key with different values");
}

bool is_override(const ConfigNode& node) { return node.where.file == "command line"; }

bool same_scalar(const ConfigNode& a, const ConfigNode& b) {
  return a.kind == b.kind && a.scalar == b.scalar;
}

void check_conflicts(const ConfigNode& section,
                     const Spelling& spelling,
                     const ConfigNode& value,
                     const std::vector<Placement>& earlier) {
  const ConfigNode* given = find_field(section, spelling.field);
  if (given != nullptr && !given->is_null() && !same_scalar(*given, value))
    refuse_conflict(spelling.key, value, spelling.field, *given);
  for (const Placement& other : earlier) {
    if (std::string_view(other.spelling.field) == spelling.field &&
        !same_scalar(other.value, value))
      refuse_conflict(spelling.key, value, other.spelling.key, other.value);
  }
}

/// An override wins over other spellings of its field in the file: removes the losing ones. False
/// when `value` itself loses.
bool settle_overrides(ConfigNode& section,
                      const Spelling& spelling,
                      const ConfigNode& value,
                      std::vector<Placement>& earlier) {
  const auto same_field = [&](const Placement& other) {
    return std::string_view(other.spelling.field) == spelling.field;
  };
  const ConfigNode* given = find_field(section, spelling.field);
  if (is_override(value)) {
    if (given != nullptr && !is_override(*given)) place_field(section, spelling.field, value);
    std::erase_if(earlier, [&](const Placement& other) {
      return same_field(other) && !is_override(other.value);
    });
    return true;
  }
  const bool loses = std::any_of(earlier.begin(), earlier.end(), [&](const Placement& other) {
    return same_field(other) && is_override(other.value);
  });
  return !loses && (given == nullptr || !is_override(*given));
}

/// Takes the short keys of `table` out of the section.
template <size_t kSize>
std::vector<Placement> take_short_keys(ConfigNode& section,
                                       const std::array<Spelling, kSize>& table,
                                       ReadReport& report) {
  std::vector<Placement> placements;
  for (const Spelling& spelling : table) {
    const ConfigNode* found = section.find(spelling.key);
    if (found == nullptr) continue;
    const ConfigNode value = *found;
    section.erase(spelling.key);
    if (value.is_null() || !settle_overrides(section, spelling, value, placements)) continue;
    check_conflicts(section, spelling, value, placements);
    report.notes.push_back(
        concat("\"mixture.", spelling.key, "\" read as \"mixture.", spelling.field, "\""));
    placements.push_back({spelling, value});
  }
  return placements;
}

ConfigNode scalar(const std::string& text, const SourcePosition& where) {
  ConfigNode node;
  node.kind = ConfigNode::Kind::kScalar;
  node.scalar = text;
  node.where = node.key_where = where;
  return node;
}

void fill_in_losses(ConfigNode& section, const MixtureSpec& preset, const Placement& because) {
  if (const ConfigNode* losses = section.find("losses"); losses != nullptr && !losses->is_null()) {
    LMOE_CHECK_ARG(!losses->is_list() || !losses->items.empty(), "[config] ",
                   because.value.where.text(), ": mixture.", because.spelling.key,
                   " cannot act: mixture.losses (", losses->where.text(), ") is empty");
    return;
  }
  ConfigNode list = config_from_json(write_options(preset.losses), because.value.where.file);
  list.where = list.key_where = because.value.where;
  section.set("losses", std::move(list));
}

void rewrite_router_loss(ConfigNode& section,
                         const MixtureSpec& preset,
                         const std::vector<Placement>& placements,
                         ReadReport& report) {
  const ConfigNode* found = section.find(kRouterLoss);
  if (found == nullptr) return;
  const ConfigNode value = *found;
  section.erase(kRouterLoss);
  const std::string where = "[config] " + value.where.text() + ": mixture.router_loss: ";
  LMOE_CHECK_ARG(
      value.is_scalar() && !value.quoted && (value.scalar == "true" || value.scalar == "false"),
      where, "given \"", value.scalar, "\", expected true or false");
  const ConfigNode* losses = section.find("losses");
  const bool any_given = losses != nullptr && !(losses->items.empty() && losses->entries.empty());
  if (value.scalar == "true") {
    LMOE_CHECK_ARG(any_given || (losses == nullptr && !preset.losses.empty()), where,
                   "true, but there is no loss; hint: losses: [{kind: cv2, coef: 0.01}]");
    return;
  }
  LMOE_CHECK_ARG(!any_given, where, "false, but mixture.losses is given");
  for (const Placement& other : placements) {
    LMOE_CHECK_ARG(std::string_view(other.spelling.field) != "losses.0.coef", where,
                   "false, but mixture.", other.spelling.key, " is given");
  }
  report.notes.emplace_back("\"mixture.router_loss: false\" read as \"mixture.losses: []\"");
  ConfigNode none;
  none.kind = ConfigNode::Kind::kList;
  none.where = none.key_where = value.where;
  section.set("losses", std::move(none));
}

}  // namespace

std::vector<std::string> short_spellings() {
  std::vector<std::string> keys = {kRouterLoss};
  for (const Spelling& spelling : kMethodKeys) keys.emplace_back(spelling.key);
  for (const Spelling& spelling : kFieldKeys) keys.emplace_back(spelling.key);
  return keys;
}

void rewrite_method_key(ConfigNode& section, ReadReport& report) {
  for (const Placement& placement : take_short_keys(section, kMethodKeys, report))
    place_field(section, placement.spelling.field, placement.value);
}

void rewrite_short_spellings(ConfigNode& section, const MixtureSpec& preset, ReadReport& report) {
  const std::vector<Placement> placements = take_short_keys(section, kFieldKeys, report);
  rewrite_router_loss(section, preset, placements, report);
  for (const Placement& placement : placements) {
    const std::string_view field = placement.spelling.field;
    if (field == "losses.0.coef") fill_in_losses(section, preset, placement);
    if (field == "select.k" && preset.select.kind == SelectKind::kAll &&
        find_field(section, "select.kind") == nullptr)
      place_field(section, "select.kind", scalar("top_k", placement.value.where));
    place_field(section, field, placement.value);
  }
}

}  // namespace lmoe::spec
