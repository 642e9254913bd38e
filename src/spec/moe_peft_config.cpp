#include "spec/moe_peft_config.h"

#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "spec/method_info.h"

namespace lmoe::spec {
namespace {

const std::map<std::string, std::string>& prefixes() {
  static const std::map<std::string, std::string> kPrefixes = {
      {"MIXLORA", "mixlora"}, {"LORAMOE", "loramoe"}, {"MOLA", "mola"}};
  return kPrefixes;
}

bool is_ffn_projection(const std::string& name) {
  return name == "gate_proj" || name == "up_proj" || name == "down_proj";
}

class Reader {
 public:
  Reader(const Json& config, const std::string& where) : config_(config), where_(where + ": ") {}

  MixtureSpec read() {
    refuse_unsupported();
    MixtureSpec spec = preset();
    read_targets(spec);
    read_lora(config_, spec.experts);
    spec.plain.rank = spec.experts.rank;
    // A plain LoRA has no rank-stabilised scaling of its own: alpha says the same.
    spec.plain.alpha =
        *spec.experts.alpha * (spec.experts.use_rslora ? std::sqrt(spec.plain.rank) : 1);
    spec.plain.dropout = spec.experts.dropout;
    if (const Json* own = find("expert_lora")) read_lora(*own, spec.experts);
    spec.experts.count = number<int64_t>(config_, "num_experts", std::nullopt);
    read_router(spec);
    check_mixture(spec, where_);
    return spec;
  }

 private:
  const Json* find(const char* key) const {
    const auto found = config_.find(key);
    return found == config_.end() || found->is_null() ? nullptr : &*found;
  }

  template <class T>
  T number(const Json& json, const char* key, std::optional<T> fallback) {
    const auto found = json.find(key);
    if ((found == json.end() || found->is_null()) && fallback) return *fallback;
    const bool fits = found != json.end() &&
                      (std::is_integral_v<T> ? found->is_number_integer() : found->is_number());
    LMOE_CHECK_DATA(fits, where_, key, ": given ",
                    found == json.end() ? std::string("nothing") : found->dump(),
                    ", expected a number");
    return found->get<T>();
  }

  bool flag(const Json& json, const char* key, bool fallback) const {
    const auto found = json.find(key);
    if (found == json.end() || found->is_null()) return fallback;
    LMOE_CHECK_DATA(found->is_boolean(), where_, key, ": given ", found->dump(),
                    ", expected true or false");
    return found->get<bool>();
  }

  std::string text(const char* key) const {
    const Json* found = find(key);
    if (found == nullptr) return "";
    LMOE_CHECK_DATA(found->is_string(), where_, key, ": given ", found->dump(), ", expected text");
    return found->get<std::string>();
  }

  void refuse_unsupported() const {
    static const std::set<std::string> kKnown = {"bias",
                                                 "peft_type",
                                                 "r",
                                                 "lora_alpha",
                                                 "lora_dropout",
                                                 "target_modules",
                                                 "use_rslora",
                                                 "routing_strategy",
                                                 "num_experts",
                                                 "expert_lora",
                                                 "act_fn",
                                                 "top_k",
                                                 "top_p",
                                                 "temperature",
                                                 "task_type",
                                                 "base_model_name_or_path",
                                                 "expert_capacity",
                                                 "jitter_noise",
                                                 "router_loss",
                                                 "router_aux_loss_coef",
                                                 "router_z_loss_coef",
                                                 "router_init_range",
                                                 "name",
                                                 "task_name"};
    for (const auto& [key, value] : config_.items()) {
      const bool is_off = value.is_null() || value == Json(false) || value == Json(0);
      if (kKnown.count(key) == 0 && !is_off)
        fail(ErrorCode::kUnsupported, where_, "\"", key, "\" is set to ", value.dump(),
             ", which is not supported");
    }
    if (const Json* bias = find("bias"); bias != nullptr && *bias != "none")
      fail(ErrorCode::kUnsupported, where_, "bias: given ", bias->dump(), ", expected \"none\"");
  }

  MixtureSpec preset() const {
    const std::string strategy = text("routing_strategy"), prefix = moe_peft_prefix(config_);
    LMOE_CHECK_DATA(strategy == prefix || (prefix == "mixlora" && strategy.starts_with("mixlora-")),
                    where_, "routing_strategy: given \"", strategy, "\" with peft_type ",
                    config_["peft_type"].dump());
    MixtureSpec spec = find_method(strategy).preset();
    spec.experts.count_by_layer.clear();
    if (prefix == "mola")
      spec.losses = find_method("mixlora").preset().losses;  // a copy of its code
    if (prefix == "loramoe") spec.losses.clear();
    return spec;
  }

  void read_targets(MixtureSpec& spec) const {
    const Json* targets = find("target_modules");
    LMOE_CHECK_DATA(targets != nullptr && targets->is_structured(), where_,
                    "target_modules: expected a list, or names with true or false");
    spec.target_modules.clear();
    spec.plain.target_modules.clear();
    const bool all_mixed = moe_peft_prefix(config_) == "mola";
    for (const auto& [key, value] : targets->items()) {
      if (targets->is_object() && value == Json(false)) continue;
      LMOE_CHECK_DATA(targets->is_object() ? value == Json(true) : value.is_string(), where_,
                      "target_modules.", key, ": given ", value.dump());
      const std::string name = targets->is_object() ? key : value.get<std::string>();
      const bool mixed = all_mixed || is_ffn_projection(name);
      (mixed ? spec.target_modules : spec.plain.target_modules).push_back(name);
    }
  }

  void read_lora(const Json& json, ExpertsSpec& experts) {
    experts.rank = number<int64_t>(json, "r", experts.rank);
    experts.alpha = number<double>(json, "lora_alpha", experts.alpha);
    experts.dropout = number<double>(json, "lora_dropout", experts.dropout);
    experts.use_rslora = flag(json, "use_rslora", experts.use_rslora);
  }

  void read_router(MixtureSpec& spec) {
    if (spec.select.kind == SelectKind::kTopK && spec.method != "mixlora-switch")
      spec.select.k = number<int64_t>(config_, "top_k", spec.select.k);
    if (spec.select.kind == SelectKind::kTopP) read_top_p(spec.select);
    if (spec.select.capacity)
      spec.select.capacity = number<int64_t>(config_, "expert_capacity", spec.select.capacity);
    spec.gate.jitter = number<double>(config_, "jitter_noise", spec.gate.jitter);
    if (spec.gate.init == GateInit::kNormal)
      spec.gate.init_range = number<double>(config_, "router_init_range", spec.gate.init_range);
    if (!flag(config_, "router_loss", spec.method != "mola")) spec.losses.clear();
    const char* keys[] = {"router_aux_loss_coef", "router_z_loss_coef"};
    for (size_t i = 0; i < spec.losses.size() && i < std::size(keys); ++i)
      spec.losses[i].coef = number<double>(config_, keys[i], spec.losses[i].coef);
  }

  /// The package divides probabilities, not logits, by its temperature; 0 turns it off.
  void read_top_p(SelectSpec& select) {
    select.top_p = number<double>(config_, "top_p", select.top_p);
    const double temperature = number<double>(config_, "temperature", 0.0);
    if (temperature != 0.0 && temperature != 1.0)
      fail(ErrorCode::kUnsupported, where_, "temperature: given ", temperature,
           ", expected 0 (off) or 1");
  }

  const Json& config_;
  std::string where_;
};

[[noreturn]] void cannot_hold(const std::string& part) {
  fail(ErrorCode::kUnsupported, "[moe_peft] the format of MoE-PEFT cannot hold ", part,
       "; hint: the run folder itself holds everything");
}

/// The strategy whose preset has the same form.
std::string strategy_of(const MixtureSpec& spec) {
  const bool is_block = spec.attach == Attach::kFfnBlock;
  const bool keeps_sum = spec.normalize == Normalize::kRenormalize;
  if (spec.select.kind == SelectKind::kTopK && keeps_sum && !spec.select.capacity)
    return is_block ? "mixlora" : "mola";
  if (is_block && spec.select.capacity && spec.select.k == 1 &&
      spec.normalize == Normalize::kSoftmax)
    return "mixlora-switch";
  if (is_block && spec.select.kind == SelectKind::kTopP && !spec.select.capacity &&
      spec.select.include_crossing && !spec.select.k && spec.normalize == Normalize::kSoftmax)
    return "mixlora-dynamic";
  if (!is_block && spec.select.kind == SelectKind::kAll && spec.normalize == Normalize::kSoftmax)
    return "loramoe";
  cannot_hold(concat("select.kind ", enum_name(spec.select.kind), " with normalize ",
                     enum_name(spec.normalize), " and attach ", enum_name(spec.attach)));
}

void check_can_hold(const MixtureSpec& spec, const std::string& strategy) {
  const ExpertsSpec& experts = spec.experts;
  if (experts.kind != ExpertKind::kLora)
    cannot_hold(concat("experts.kind ", enum_name(experts.kind)));
  if (experts.scale_by != ScaleBy::kRank)
    cannot_hold(concat("experts.scale_by ", enum_name(experts.scale_by)));
  if (!experts.count_by_layer.empty()) cannot_hold("experts.count_by_layer");
  if (experts.use_dora) cannot_hold("experts.use_dora");
  if (spec.select.private_experts > 0) cannot_hold("select.private_experts");
  if (spec.select.inference_threshold) cannot_hold("select.inference_threshold");
  if (spec.apply == Apply::kFactors) cannot_hold("apply factors");
  if (spec.gate.net != GateNet::kLinear) cannot_hold(concat("gate.net ", enum_name(spec.gate.net)));
  if (spec.gate.temperature != 1.0) cannot_hold("gate.temperature");
  if (spec.gate.pool != GatePool::kNone) cannot_hold("gate.pool");
  if (spec.gate.init_bias) cannot_hold("gate.init_bias");
  if (spec.gate.input_dropout > 0.0) cannot_hold("gate.input_dropout");
  const bool is_block = spec.attach == Attach::kFfnBlock;
  if (spec.gate.source != (is_block ? GateSource::kBlockInput : GateSource::kInput))
    cannot_hold(concat("gate.source ", enum_name(spec.gate.source)));
  if (spec.bias.use != BiasUse::kNone) cannot_hold("bias");
  if (spec.has_prompts()) cannot_hold("prompts");
  for (const auto* targets : {&spec.target_modules, &spec.plain.target_modules})
    for (const std::string& target : *targets)
      if (target.find('.') != std::string::npos) cannot_hold("a target by its path, " + target);
  for (const std::string& target : spec.target_modules)
    if (strategy != "mola" && !is_ffn_projection(target))
      cannot_hold(concat("experts on ", target, " with routing_strategy ", strategy));
  for (const std::string& target : spec.plain.target_modules)
    if (strategy == "mola" || is_ffn_projection(target))
      cannot_hold(concat("a plain LoRA on ", target, " with routing_strategy ", strategy));
}

}  // namespace

bool is_moe_peft_config(const Json& config) {
  const auto type = config.find("peft_type");
  return type != config.end() && type->is_string() &&
         prefixes().count(type->get<std::string>()) != 0;
}

std::string moe_peft_prefix(const Json& config) {
  return prefixes().at(config.at("peft_type").get<std::string>());
}

MixtureSpec mixture_from_moe_peft(const Json& config, const std::string& where) {
  return Reader(config, where).read();
}

Json moe_peft_from_mixture(const MixtureSpec& spec) {
  const std::string strategy = strategy_of(spec);
  check_can_hold(spec, strategy);
  const ExpertsSpec& experts = spec.experts;
  Json json;
  json["bias"] = "none";
  json["peft_type"] = strategy == "mola" ? "MOLA" : strategy == "loramoe" ? "LORAMOE" : "MIXLORA";
  json["r"] = spec.has_plain() ? spec.plain.rank : experts.rank;
  const double alpha = spec.has_plain() ? spec.plain.alpha.value_or(2.0 * spec.plain.rank)
                                        : experts.effective_alpha();
  json["lora_alpha"] = alpha;
  json["lora_dropout"] = spec.has_plain() ? spec.plain.dropout : experts.dropout;
  json["use_rslora"] = !spec.has_plain() && experts.use_rslora;
  if (spec.has_plain())
    json["expert_lora"] = {{"r", experts.rank},
                           {"lora_alpha", experts.effective_alpha()},
                           {"lora_dropout", experts.dropout},
                           {"use_rslora", experts.use_rslora}};
  json["target_modules"] = spec.target_modules;
  for (const std::string& target : spec.plain.target_modules)
    json["target_modules"].push_back(target);
  json["routing_strategy"] = strategy;
  json["num_experts"] = experts.count;
  if (strategy == "mixlora" || strategy == "mola") json["top_k"] = *spec.select.k;
  if (strategy == "mixlora-dynamic") {
    json["top_p"] = *spec.select.top_p;
    json["temperature"] = 0.0;
  }
  if (spec.select.capacity) json["expert_capacity"] = *spec.select.capacity;
  if (spec.gate.jitter != 0.0) json["jitter_noise"] = spec.gate.jitter;
  json["task_type"] = "CAUSAL_LM";
  return json;
}

}  // namespace lmoe::spec
