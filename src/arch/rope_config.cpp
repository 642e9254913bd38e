// Rotary positions and their scaling, as config.json and GGUF write them.
#include <cmath>

#include "arch/common_config.h"
#include "base/error.h"

namespace lmoe::arch {
namespace {

using Kind = RopeScaling::Kind;

constexpr double kDefaultTheta = 10000;
constexpr double kMaxTheta = 1e12;
constexpr double kMaxFactor = 1e6;

/// YaRN's factor on cos and sin (0.1 ln s + 1), as transformers derives it.
double yarn_attention_factor(double factor, double mscale = 1) {
  return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1;
}

void read_yarn(const HuggingFaceConfig& rope, RopeScaling& scaling) {
  scaling.beta_fast = rope.number("beta_fast", 0, kMaxFactor, 32);
  scaling.beta_slow = rope.number("beta_slow", 0, kMaxFactor, 1);
  scaling.truncate = rope.boolean("truncate", true);
  const double mscale = rope.number("mscale", 0, kMaxFactor, 0);
  const double mscale_all_dim = rope.number("mscale_all_dim", 0, kMaxFactor, 0);
  const bool has_both = mscale > 0 && mscale_all_dim > 0;
  const double derived = has_both ? yarn_attention_factor(scaling.factor, mscale) /
                                        yarn_attention_factor(scaling.factor, mscale_all_dim)
                                  : yarn_attention_factor(scaling.factor);
  scaling.attention_factor = rope.number("attention_factor", 0, kMaxFactor, derived);
}

void read_llama3(const HuggingFaceConfig& rope, RopeScaling& scaling) {
  scaling.low_freq_factor = rope.number("low_freq_factor", 1e-6, kMaxFactor);
  scaling.high_freq_factor = rope.number("high_freq_factor", 1e-6, kMaxFactor);
  LMOE_CHECK_DATA(scaling.high_freq_factor > scaling.low_freq_factor,
                  rope.where("high_freq_factor"), ": given ", scaling.high_freq_factor,
                  ", expected more than low_freq_factor ", scaling.low_freq_factor);
}

Kind parse_kind(const std::string& name, const std::string& where) {
  if (name == "default") return Kind::kNone;
  if (name == "linear") return Kind::kLinear;
  if (name == "dynamic") return Kind::kDynamicNtk;
  if (name == "llama3") return Kind::kLlama3;
  if (name == "yarn") return Kind::kYarn;
  fail(ErrorCode::kUnsupported, where, ": given \"", name,
       "\", expected one of default, linear, dynamic, llama3, yarn");
}

}  // namespace

void read_rope(const HuggingFaceConfig& config, ModelConfig& model) {
  // transformers lets the older key win where both are set.
  const HuggingFaceConfig rope =
      config.section(config.has("rope_scaling") ? "rope_scaling" : "rope_parameters");
  for (const auto& [key, value] : rope.json().items()) {
    if (value.is_object())
      fail(ErrorCode::kUnsupported, rope.where(key),
           ": rotary positions that differ between layers are not built");
  }
  const double top_level_theta = config.number("rope_theta", 1.0001, kMaxTheta, kDefaultTheta);
  model.rope_theta = rope.number("rope_theta", 1.0001, kMaxTheta, top_level_theta);
  for (const HuggingFaceConfig* part : {&config, &rope}) {
    if (part->number("partial_rotary_factor", 0, 1, 1) != 1)
      fail(ErrorCode::kUnsupported, part->where("partial_rotary_factor"),
           ": rotary positions on a part of a head are not built");
  }
  const std::string type_key = rope.has("rope_type") ? "rope_type" : "type";
  RopeScaling& scaling = model.rope_scaling;
  scaling.kind = parse_kind(rope.text(type_key, "default"), rope.where(type_key));
  if (scaling.kind == Kind::kNone) return;
  const int64_t outer_original = config.integer("original_max_position_embeddings", kLengthRange,
                                                model.max_position_embeddings);
  scaling.original_max_position_embeddings =
      config.has("original_max_position_embeddings")
          ? outer_original
          : rope.integer("original_max_position_embeddings", kLengthRange, outer_original);
  const bool may_derive =
      scaling.kind == Kind::kYarn && rope.json().contains("factor") && !rope.has("factor");
  scaling.factor = may_derive ? static_cast<double>(model.max_position_embeddings) /
                                    static_cast<double>(scaling.original_max_position_embeddings)
                              : rope.number("factor", 1e-6, kMaxFactor);
  if (scaling.kind == Kind::kLlama3) read_llama3(rope, scaling);
  if (scaling.kind == Kind::kYarn) read_yarn(rope, scaling);
}

namespace {

/// The tensor that llama3 scaling becomes in GGUF: a divisor for each frequency.
std::vector<double> read_rope_factors(const GgufConfig& config, int64_t head_dim) {
  const io::TensorView* tensor = config.file().find("rope_freqs.weight");
  if (tensor == nullptr) return {};
  const std::string where =
      "[load_base] " + config.file().description() + ": tensor rope_freqs.weight";
  LMOE_CHECK_DATA(tensor->shape == std::vector<int64_t>{head_dim / 2}, where, " has shape ",
                  tensor->shape_text(), ", expected [", head_dim / 2, "]");
  std::vector<float> values(static_cast<size_t>(head_dim / 2));
  io::to_float32(*tensor, values);
  std::vector<double> factors;
  for (const float value : values) factors.push_back(check_range(value, 1e-6, kMaxFactor, where));
  return factors;
}

}  // namespace

void read_rope(const GgufConfig& config, ModelConfig& model) {
  model.rope_theta = config.number("rope.freq_base", 1.0001, kMaxTheta, kDefaultTheta);
  const int64_t rotary = config.integer("rope.dimension_count", {2, 65536}, model.head_dim);
  if (rotary != model.head_dim)
    fail(ErrorCode::kUnsupported, config.where("rope.dimension_count"), ": given ", rotary,
         ", expected all ", model.head_dim, " of a head");
  RopeScaling& scaling = model.rope_scaling;
  scaling.factors = read_rope_factors(config, model.head_dim);
  const std::string old_linear = config.has("rope.scale_linear") ? "linear" : "none";
  const std::string type = config.text("rope.scaling.type", old_linear);
  if (type == "none" || type.empty()) {
    if (!scaling.factors.empty()) scaling.kind = Kind::kFactors;
    return;
  }
  scaling.kind = type == "linear" ? Kind::kLinear : type == "yarn" ? Kind::kYarn : Kind::kNone;
  if (scaling.kind == Kind::kNone || !scaling.factors.empty())
    fail(ErrorCode::kUnsupported, config.where("rope.scaling.type"), ": given \"", type,
         scaling.factors.empty() ? "\", expected none, linear or yarn"
                                 : "\" together with the tensor rope_freqs.weight");
  scaling.factor =
      config.number(config.has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear",
                    1e-6, kMaxFactor);
  scaling.original_max_position_embeddings = config.integer(
      "rope.scaling.original_context_length", kLengthRange, model.max_position_embeddings);
  if (scaling.kind != Kind::kYarn) return;
  scaling.beta_fast = config.number("rope.scaling.yarn_beta_fast", 0, kMaxFactor, 32);
  scaling.beta_slow = config.number("rope.scaling.yarn_beta_slow", 0, kMaxFactor, 1);
  scaling.attention_factor = yarn_attention_factor(scaling.factor) *
                             config.number("rope.scaling.attn_factor", 1e-6, kMaxFactor, 1);
}

}  // namespace lmoe::arch
