#include "spec/x_lora_config.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "spec/method_info.h"

namespace lmoe::spec {
namespace {

class Reader {
 public:
  Reader(const Json& config, const std::string& where) : config_(config), where_(where + ": ") {}

  XLoraConfig read() {
    read_.mixture = find_method("x-lora").preset();
    MixtureSpec& spec = read_.mixture;
    read_adapters();
    GateSpec& gate = spec.gate;
    gate.layerwise = flag("layerwise_scalings", false);
    gate.depth = integer("xlora_depth", 1);
    gate.hidden_size = integer("xlora_size", 2048);
    gate.dropout = gate.depth > 1 ? number("xlora_dropout_p", 0.2) : 0.0;
    gate.first_pass_weight = first_pass_weight();
    read_weights(spec);
    spec.schedule.freeze_experts = !flag("use_trainable_adapters", false);
    read_.global_scaling = number("global_scaling_weight", 1.0);
    read_.hidden_size = integer("hidden_size", 4096);
    return std::move(read_);
  }

  void refuse_others(const std::set<std::string>& besides) const {
    static const std::set<std::string> kKnown = {"hidden_size",          "adapters",
                                                 "enable_softmax",       "enable_softmax_topk",
                                                 "layerwise_scalings",   "xlora_depth",
                                                 "xlora_size",           "xlora_dropout_p",
                                                 "top_k_lora",           "scaling_pass_value",
                                                 "softmax_temperature",  "use_trainable_adapters",
                                                 "global_scaling_weight"};
    for (const auto& [key, value] : config_.items())
      if (kKnown.count(key) == 0 && besides.count(key) == 0)
        fail(ErrorCode::kUnsupported, where_, "unknown key \"", key, "\"");
  }

  bool flag(const char* key, bool fallback) const {
    const Json* found = find(key);
    if (found == nullptr) return fallback;
    LMOE_CHECK_DATA(found->is_boolean(), where_, key, ": given ", found->dump(),
                    ", expected true or false");
    return found->get<bool>();
  }

 private:
  const Json* find(const char* key) const {
    const auto found = config_.find(key);
    return found == config_.end() || found->is_null() ? nullptr : &*found;
  }

  double number(const char* key, double fallback) const {
    const Json* found = find(key);
    if (found == nullptr) return fallback;
    LMOE_CHECK_DATA(found->is_number(), where_, key, ": given ", found->dump(),
                    ", expected a number");
    return found->get<double>();
  }

  int64_t integer(const char* key, int64_t fallback) const {
    const Json* found = find(key);
    if (found == nullptr) return fallback;
    LMOE_CHECK_DATA(found->is_number_integer() && found->get<int64_t>() > 0, where_, key,
                    ": given ", found->dump(), ", expected a whole number above 0");
    return found->get<int64_t>();
  }

  void read_adapters() {
    const Json* adapters = find("adapters");
    const bool fits = adapters != nullptr && adapters->is_structured() && !adapters->empty();
    LMOE_CHECK_DATA(fits, where_, "adapters: expected names of adapters");
    ExpertsSpec& experts = read_.mixture.experts;
    for (const auto& [key, value] : adapters->items()) {
      LMOE_CHECK_DATA(value.is_string(), where_, "adapters: given ", value.dump(),
                      ", expected text");
      const bool is_map = adapters->is_object();
      experts.names.push_back(is_map ? key : value.get<std::string>());
      read_.paths.push_back(is_map ? value.get<std::string>() : "");
    }
    experts.count = std::ssize(experts.names);
  }

  /// null means equal weights that sum to 1.
  double first_pass_weight() const {
    const auto found = config_.find("scaling_pass_value");
    if (found != config_.end() && found->is_null())
      return 1.0 / static_cast<double>(read_.mixture.experts.count);
    return number("scaling_pass_value", 0.0);
  }

  void read_weights(MixtureSpec& spec) const {
    const bool softens = flag("enable_softmax", true), again = flag("enable_softmax_topk", false);
    spec.gate.temperature = softens ? number("softmax_temperature", 1.0) : 1.0;
    if (find("top_k_lora") != nullptr) {
      spec.select.kind = SelectKind::kTopK;
      spec.select.k = integer("top_k_lora", 1);
    }
    if (softens)
      spec.normalize = again ? Normalize::kSoftmaxTwice : Normalize::kSoftmax;
    else
      spec.normalize = again ? Normalize::kSoftmaxSelected : Normalize::kLogits;
  }

  const Json& config_;
  std::string where_;
  XLoraConfig read_;
};

[[noreturn]] void refuse(const std::string& why) {
  fail(ErrorCode::kUnsupported, "[x_lora] PEFT's format cannot hold ", why);
}

void check_can_be_held(const MixtureSpec& spec) {
  const GateSpec& gate = spec.gate;
  if (gate.source != GateSource::kLastHidden)
    refuse(concat("gate.source ", enum_name(gate.source), ", only last_hidden"));
  if (gate.net != GateNet::kClassifier)
    refuse(concat("gate.net ", enum_name(gate.net), ", only classifier"));
  if (spec.apply != Apply::kDeltas) refuse("apply factors");
  if (gate.pool != GatePool::kNone) refuse("gate.pool");
  if (gate.init_bias) refuse("gate.init_bias");
  if (gate.input_dropout > 0.0) refuse("gate.input_dropout");
  if (spec.has_plain()) refuse("mixture.plain");
  if (!spec.losses.empty() || spec.bias.use != BiasUse::kNone) refuse("balancing");
  if (gate.jitter != 0.0 || gate.noise != 0.0) refuse("gate.jitter or gate.noise");
  if (spec.select.kind != SelectKind::kAll && spec.select.kind != SelectKind::kTopK)
    refuse(concat("select.kind ", enum_name(spec.select.kind)));
  if (spec.select.private_experts > 0) refuse("select.private_experts");
  if (spec.select.inference_threshold) refuse("select.inference_threshold");
  if (spec.normalize == Normalize::kLogits && gate.temperature != 1.0)
    refuse("normalize logits with a temperature");
  static const std::set<Normalize> kHeld = {Normalize::kSoftmax, Normalize::kSoftmaxTwice,
                                            Normalize::kLogits, Normalize::kSoftmaxSelected};
  if (kHeld.count(spec.normalize) == 0) refuse(concat("normalize ", enum_name(spec.normalize)));
  // Its softmax over what is selected comes instead of the first one, without a temperature.
  if (spec.normalize == Normalize::kSoftmaxSelected && gate.temperature != 1.0)
    refuse("normalize softmax_selected with a temperature");
}

}  // namespace

bool is_peft_x_lora_config(const Json& config) {
  const auto type = config.find("peft_type");
  return type != config.end() && type->is_string() && *type == "XLORA";
}

XLoraConfig read_peft_x_lora_config(const Json& config, const std::string& where) {
  Reader reader(config, where);
  reader.refuse_others({"peft_type", "task_type", "auto_mapping", "base_model_name_or_path",
                        "revision", "inference_mode", "peft_version"});
  return reader.read();
}

XLoraConfig read_original_x_lora_config(const Json& config, const std::string& where) {
  Reader reader(config, where);
  reader.refuse_others({"base_model_id", "enable_relu_and_dropout", "use_bias", "use_mlp"});
  XLoraConfig read = reader.read();
  const bool has_relu = reader.flag("enable_relu_and_dropout", true);
  if (!has_relu && read.mixture.gate.depth > 1)
    fail(ErrorCode::kUnsupported, where,
         ": enable_relu_and_dropout: given false, expected true with xlora_depth above 1");
  if (!reader.flag("use_bias", true))
    fail(ErrorCode::kUnsupported, where, ": use_bias: given false, expected true");
  return read;
}

Json peft_x_lora_config(const MixtureSpec& spec,
                        int64_t hidden_size,
                        const std::vector<std::string>& paths) {
  check_can_be_held(spec);
  Json adapters = Json::object();
  for (size_t i = 0; i < paths.size(); ++i) adapters[std::to_string(i)] = paths[i];
  const bool softens =
      spec.normalize == Normalize::kSoftmax || spec.normalize == Normalize::kSoftmaxTwice;
  const bool again =
      spec.normalize == Normalize::kSoftmaxTwice || spec.normalize == Normalize::kSoftmaxSelected;
  return {{"peft_type", "XLORA"},
          {"task_type", "CAUSAL_LM"},
          {"hidden_size", hidden_size},
          {"adapters", std::move(adapters)},
          {"enable_softmax", softens},
          {"enable_softmax_topk", again},
          {"layerwise_scalings", spec.gate.layerwise},
          {"xlora_depth", spec.gate.depth},
          {"xlora_size", spec.gate.hidden_size},
          {"xlora_dropout_p", spec.gate.dropout},
          {"use_trainable_adapters", !spec.schedule.freeze_experts},
          {"softmax_temperature", spec.gate.temperature},
          {"top_k_lora", spec.select.k ? Json(*spec.select.k) : Json()},
          {"scaling_pass_value", spec.gate.first_pass_weight},
          {"global_scaling_weight", 1.0},
          {"inference_mode", true}};
}

}  // namespace lmoe::spec
