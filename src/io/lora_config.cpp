#include "io/lora_config.h"

#include <cmath>

#include "base/error.h"
#include "io/module_pattern.h"

namespace lmoe::io {
namespace {

constexpr int64_t kMaxRank = 65536;
constexpr double kMaxAlpha = 1e9;
constexpr size_t kMaxPatterns = 10'000;

/// Features that change what an adapter computes. A value other than null, false or empty switches
/// them on.
constexpr const char* kUnsupportedFeatures[] = {"use_qalora",
                                                "lora_bias",
                                                "modules_to_save",
                                                "layer_replication",
                                                "target_parameters",
                                                "use_bdlora",
                                                "fan_in_fan_out",
                                                "megatron_config",
                                                "alora_invocation_tokens",
                                                "trainable_token_indices",
                                                "arrow_config",
                                                "kasa_config",
                                                "velora_config",
                                                "monteclora_config"};

bool is_on(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return false;
  if (found->is_boolean()) return found->get<bool>();
  return !found->is_structured() || !found->empty();
}

class Reader {
 public:
  Reader(const Json& json, const std::string& file)
      : json_(json), where_("[peft] " + file + ": ") {}

  void refuse_unsupported() const {
    for (const char* key : kUnsupportedFeatures) {
      if (is_on(json_, key))
        fail(ErrorCode::kUnsupported, where_, "\"", key, "\" is set, which is not supported");
    }
    if (text("bias", "none") != "none")
      fail(ErrorCode::kUnsupported, where_, "bias: given \"", text("bias", ""),
           "\", expected \"none\"");
    // Other initialisations change the base model's weights.
    const auto init = json_.find("init_lora_weights");
    if (init != json_.end() && init->is_string() && *init != "gaussian" && *init != "orthogonal" &&
        *init != "eva")
      fail(ErrorCode::kUnsupported, where_, "init_lora_weights: given ", init->dump(),
           ", which changes the base model; convert the adapter to a plain LoRA");
  }

  std::string text(const char* key, const std::string& fallback) const {
    const auto found = json_.find(key);
    if (found == json_.end() || found->is_null()) return fallback;
    LMOE_CHECK_DATA(found->is_string(), where_, key, ": given ", found->dump(), ", expected text");
    return found->get<std::string>();
  }
  bool boolean(const char* key) const {
    const auto found = json_.find(key);
    if (found == json_.end() || found->is_null()) return false;
    LMOE_CHECK_DATA(found->is_boolean(), where_, key, ": given ", found->dump(),
                    ", expected true or false");
    return found->get<bool>();
  }
  int64_t rank(const Json& value, const std::string& key) const {
    const bool fits =
        value.is_number_integer() && value.get<int64_t>() >= 1 && value.get<int64_t>() <= kMaxRank;
    LMOE_CHECK_DATA(fits, where_, key, ": given ", value.dump(), ", expected a rank from 1 to ",
                    kMaxRank);
    return value.get<int64_t>();
  }
  double alpha(const Json& value, const std::string& key) const {
    const bool fits =
        value.is_number() && value.get<double>() > 0 && value.get<double>() <= kMaxAlpha;
    LMOE_CHECK_DATA(fits, where_, key, ": given ", value.dump(),
                    ", expected a number above 0 and up to ", kMaxAlpha);
    return value.get<double>();
  }
  const Json& value(const char* key, const Json& fallback) const {
    const auto found = json_.find(key);
    return found == json_.end() ? fallback : *found;
  }
  template <class T, class Convert>
  std::vector<std::pair<std::string, T>> pattern(const char* key, Convert convert) const {
    std::vector<std::pair<std::string, T>> result;
    const auto found = json_.find(key);
    if (found == json_.end() || found->is_null()) return result;
    LMOE_CHECK_DATA(found->is_object() && found->size() <= kMaxPatterns, where_, key,
                    ": expected an object of at most ", kMaxPatterns, " keys");
    for (const auto& [name, item] : found->items())
      result.emplace_back(name, convert(item, concat(key, ".", name)));
    return result;
  }
  std::vector<std::string> target_modules() const {
    std::vector<std::string> names;
    const auto found = json_.find("target_modules");
    if (found == json_.end() || found->is_null() || found->is_string()) return names;
    LMOE_CHECK_DATA(found->is_array(), where_, "target_modules: expected a list or text");
    for (const Json& item : *found) {
      LMOE_CHECK_DATA(item.is_string() && !item.get_ref<const std::string&>().empty(), where_,
                      "target_modules: given ", item.dump(), ", expected the name of a module");
      names.push_back(item.get<std::string>());
    }
    return names;
  }

 private:
  const Json& json_;
  std::string where_;
};

}  // namespace

LoraConfig parse_lora_config(const Json& json, const std::string& file) {
  LMOE_CHECK_DATA(json.is_object(), "[peft] ", file, ": expected a JSON object");
  const Reader reader(json, file);
  const std::string type = reader.text("peft_type", "");
  if (type != "LORA")
    fail(ErrorCode::kUnsupported, "[peft] ", file, ": peft_type: given \"", type,
         "\", expected \"LORA\"");
  reader.refuse_unsupported();
  LoraConfig config;
  config.rank = reader.rank(reader.value("r", 8), "r");
  config.alpha = reader.alpha(reader.value("lora_alpha", 8), "lora_alpha");
  config.use_rslora = reader.boolean("use_rslora");
  config.use_dora = reader.boolean("use_dora");
  config.target_modules = reader.target_modules();
  config.rank_pattern = reader.pattern<int64_t>(
      "rank_pattern",
      [&](const Json& value, const std::string& key) { return reader.rank(value, key); });
  config.alpha_pattern = reader.pattern<double>(
      "alpha_pattern",
      [&](const Json& value, const std::string& key) { return reader.alpha(value, key); });
  config.base_model_name_or_path = reader.text("base_model_name_or_path", "");
  return config;
}

Json lora_config_json(const LoraConfig& config) {
  Json json = {{"peft_type", "LORA"},
               {"task_type", "CAUSAL_LM"},
               {"base_model_name_or_path", config.base_model_name_or_path},
               {"inference_mode", true},
               {"r", config.rank},
               {"lora_alpha", config.alpha},
               {"lora_dropout", 0.0},
               {"bias", "none"},
               {"fan_in_fan_out", false},
               {"init_lora_weights", true},
               {"use_rslora", config.use_rslora},
               {"use_dora", config.use_dora},
               {"modules_to_save", nullptr},
               {"target_modules", config.target_modules},
               {"rank_pattern", Json::object()},
               {"alpha_pattern", Json::object()}};
  // PEFT declares alpha an integer; a whole number is written as one.
  if (config.alpha == std::floor(config.alpha))
    json["lora_alpha"] = static_cast<int64_t>(config.alpha);
  for (const auto& [pattern, rank] : config.rank_pattern) json["rank_pattern"][pattern] = rank;
  for (const auto& [pattern, alpha] : config.alpha_pattern) json["alpha_pattern"][pattern] = alpha;
  return json;
}

struct LoraScaling::Patterns {
  std::vector<std::pair<ModulePattern, int64_t>> ranks;
  std::vector<std::pair<ModulePattern, double>> alphas;
};

LoraScaling::LoraScaling(const LoraConfig& config)
    : patterns_(std::make_unique<Patterns>()),
      rank_(config.rank),
      alpha_(config.alpha),
      use_rslora_(config.use_rslora) {
  for (const auto& [pattern, rank] : config.rank_pattern)
    patterns_->ranks.emplace_back(ModulePattern(pattern), rank);
  for (const auto& [pattern, alpha] : config.alpha_pattern)
    patterns_->alphas.emplace_back(ModulePattern(pattern), alpha);
}

LoraScaling::~LoraScaling() = default;

int64_t LoraScaling::rank(const std::string& module) const {
  for (const auto& [pattern, rank] : patterns_->ranks)
    if (pattern.matches(module)) return rank;
  return rank_;
}

double LoraScaling::scaling(const std::string& module) const {
  double alpha = alpha_;
  for (const auto& [pattern, value] : patterns_->alphas) {
    if (!pattern.matches(module)) continue;
    alpha = value;
    break;
  }
  const auto r = static_cast<double>(rank(module));
  return alpha / (use_rslora_ ? std::sqrt(r) : r);
}

}  // namespace lmoe::io
