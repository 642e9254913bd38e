// What forwards of every method keep, counted from sizes and counted block by block.
#include "train/kept_for_backward.h"

#include <gtest/gtest.h>

#include "support/live_tensor_bytes.h"
#include "train/micro_batch.h"
#include "train/tiny_run.h"

namespace lmoe::train {
namespace {

constexpr int32_t kTokens = 256;

/// Wide enough that rows of the model outweigh single numbers per token.
arch::ModelConfig small_config() {
  arch::ModelConfig config = test::tiny_config();
  config.hidden_size = 96;
  config.intermediate_size = 240;
  config.num_attention_heads = 6;
  config.num_key_value_heads = 2;
  config.head_dim = 16;
  return config;
}

data::PackedRow row_of(int32_t tokens) {
  data::PackedRow row;
  for (const int32_t task : {0, 1}) {
    const int32_t half = tokens / 2;
    row.segments.push_back({task * half, half, 0, 0, task});
    for (int32_t i = 0; i < half; ++i) {
      row.ids.push_back(i % 50);
      row.labels.push_back(i % 50);
    }
  }
  return row;
}

/// By one forward, besides what it returns.
int64_t bytes_kept(const models::Decoder& decoder,
                   const mixture::Mixture& mixture,
                   int32_t tokens) {
  const std::vector<data::PackedRow> rows = {row_of(tokens)};
  const MicroBatch batch = make_micro_batch(rows);
  Rng rng(5);
  nn::RouterLog log;
  nn::ForwardContext context;
  context.segments = log.segments = batch.segments;
  context.positions = nn::make_positions(batch.segments);
  context.is_training = true;
  context.dropout_rng = &rng;
  if (mixture.spec().has_gate()) context.router_log = &log;
  const test::LiveTensorBytes live;
  const at::Tensor hidden = decoder.forward(batch.ids, context);
  return live.now();
}

/// Per token, by layers and adapters: not what enters the first layer, leaves the last norm, or
/// says where a token stands.
double bytes_kept_per_token(const arch::ModelConfig& config,
                            const spec::MixtureSpec& spec,
                            at::ScalarType dtype) {
  const auto decoder = test::tiny_decoder(config, dtype);
  mixture::Mixture mixture(spec, decoder->sockets(), 1);
  mixture.plug(decoder->sockets());
  mixture.advance_to(0.0);
  const auto element = static_cast<double>(at::elementSize(dtype));
  const auto width = static_cast<double>(config.hidden_size);
  const double last_norm = (dtype == at::kFloat ? 1 : 2) * width;
  const double besides =
      (width + last_norm) * element + 4 * (1 + static_cast<double>(config.head_dim));
  constexpr int32_t kFew = kTokens - 128, kMany = kTokens + 128;
  const auto more = static_cast<double>(bytes_kept(*decoder, mixture, kMany) -
                                        bytes_kept(*decoder, mixture, kFew));
  return more / (kMany - kFew) - besides;
}

spec::MixtureSpec spec_of(const std::string& name) {
  const std::string method = name.substr(0, name.find('/'));
  spec::MixtureSpec spec = spec::find_method(method).preset();
  if (spec.experts.kind != spec::ExpertKind::kRankOne) spec.experts.rank = 4;
  if (spec.has_plain()) spec.plain.rank = 4;
  if (name.ends_with("/dropout")) spec.experts.dropout = 0.1;
  if (name.ends_with("/mlp")) spec.gate.net = spec::GateNet::kMlp;
  if (name.ends_with("/jitter")) spec.gate.jitter = 0.1;
  if (name.ends_with("/recurrent")) spec.gate.net = spec::GateNet::kRecurrent;
  if (name.ends_with("/cosine")) spec.gate.net = spec::GateNet::kCosine;
  if (name.ends_with("/upper")) spec.layers_to_transform = {1};
  if (name.ends_with("/attention")) spec.target_modules = {"q_proj", "v_proj"};
  return spec::with_tasks(spec, 2);
}

class KeptForBackward : public ::testing::TestWithParam<std::string> {};

TEST_P(KeptForBackward, IsWhatIsCounted) {
  const bool is_narrow = GetParam().ends_with("/bf16");
  const at::ScalarType dtype = is_narrow ? at::kBFloat16 : at::kFloat;
  const int64_t element = is_narrow ? 2 : 4;
  const spec::MixtureSpec spec = spec_of(GetParam());
  for (const bool has_all_norms : {false, true}) {
    arch::ModelConfig config = small_config();
    config.has_qk_norm = config.has_post_norms = has_all_norms;
    const double kept = bytes_kept_per_token(config, spec, dtype);
    const auto counted =
        static_cast<double>(kept_for_backward(spec, config, {kTokens, element}).bytes(element));
    // Exact but for keys without a gradient, and for gates, whose few numbers per expert weigh more
    // here than in real models.
    EXPECT_GE(counted, 0.96 * kept);
    EXPECT_LE(counted, (spec.has_gate() ? 1.12 : 1.02) * kept);
  }
}

std::vector<std::string> methods_and_variants() {
  std::vector<std::string> names = {"l-moe/dropout", "l-moe/mlp",       "l-moe/jitter",
                                    "l-moe/cosine",  "l-moe/recurrent", "lora/upper",
                                    "lora/dropout",  "lora/attention",  "lora/bf16",
                                    "dora/dropout",  "mixlora/bf16",    "l-moe/bf16"};
  for (const spec::MethodInfo& method : spec::all_methods())
    if (std::string(method.name) != "dmoerm") names.emplace_back(method.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, KeptForBackward, ::testing::ValuesIn(methods_and_variants()));

}  // namespace
}  // namespace lmoe::train
