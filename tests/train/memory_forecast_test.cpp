#include "train/memory_forecast.h"

#include <gtest/gtest.h>

#include "support/smollm2_shape.h"
#include "train/tiny_run.h"

namespace lmoe::train {
namespace {

class ParameterCounts : public ::testing::TestWithParam<std::string> {};

spec::MixtureSpec spec_of(const std::string& name) {
  const bool is_variant = name == "mlp" || name == "block" || name == "some" || name == "path" ||
                          name == "plain" || name == "layers" || name == "prompts" ||
                          name == "causal";
  spec::MixtureSpec spec = spec::find_method(is_variant ? "l-moe" : name).preset();
  if (is_variant) spec.experts.count = 3;
  if (spec.experts.kind != spec::ExpertKind::kRankOne) spec.experts.rank = 2;
  if (name == "mlp") spec.gate.net = spec::GateNet::kMlp;
  if (name == "block") {
    spec.gate.source = spec::GateSource::kBlockInput;
    spec.gate.share = spec::GateShare::kBlock;
  }
  if (name == "path") spec.target_modules = {"model.layers.0.mlp.up_proj", "0.self_attn.v_proj"};
  if (name == "plain") {
    spec.target_modules = {"up_proj"};
    spec.plain.target_modules = {"gate_proj", "o_proj"};
    spec.plain.rank = 3;
  }
  if (name == "layers") {
    spec.layers_to_transform = {1};
    spec.target_modules = {"up_proj"};
    spec.plain.target_modules = {"gate_proj"};
  }
  if (name == "causal")
    spec.gate = {.source = spec::GateSource::kEmbedding,
                 .net = spec::GateNet::kCausal,
                 .share = spec::GateShare::kModel,
                 .hidden_size = 8,
                 .heads = 2};
  if (name == "prompts") spec.prompts = {.count = 5, .length = 3, .select = 2};
  if (name == "some") spec.target_modules = {"q_proj", "down_proj"};
  return spec;
}

TEST_P(ParameterCounts, AreThoseOfTheMixtureAndTheDecoder) {
  recipe::Recipe recipe = tiny_recipe("unused");
  recipe.mixture = spec_of(GetParam());
  for (const bool tied : {true, false}) {
    arch::ModelConfig config = test::tiny_config();
    config.tie_word_embeddings = tied;
    const auto decoder = test::tiny_decoder(config);
    const mixture::Mixture mixture(recipe.mixture, decoder->sockets(), 1);
    const MemoryForecast forecast = forecast_memory(recipe, config, 4);
    EXPECT_EQ(forecast.trained_parameters, mixture.trained_parameter_count());
    EXPECT_EQ(forecast.base_bytes, decoder->weight_bytes());
  }
}

std::vector<std::string> methods_and_variants() {
  std::vector<std::string> names = {"mlp",   "block",  "some",    "path",
                                    "plain", "layers", "prompts", "causal"};
  for (const spec::MethodInfo& method : spec::all_methods()) names.emplace_back(method.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, ParameterCounts, ::testing::ValuesIn(methods_and_variants()));

/// Numbers in the memories of gates that ask references.
int64_t stored_numbers(const mixture::Mixture& mixture) {
  int64_t count = 0;
  for (const nn::NamedTensor& buffer : mixture.buffers()) count += buffer.tensor.numel();
  return count;
}

class MemoriesOfGates : public ::testing::TestWithParam<const char*> {};

TEST_P(MemoriesOfGates, AreCountedAsTheyAreStored) {
  recipe::Recipe recipe = tiny_recipe("unused");
  const arch::ModelConfig config = test::tiny_config();
  const auto decoder = test::tiny_decoder(config);
  ReadReport report;
  recipe.mixture = spec::read_mixture(parse_config(GetParam(), "test"), report);
  const auto with_references = [&](int64_t count) {
    recipe.mixture.gate.references = count;
    const mixture::Mixture mixture(recipe.mixture, decoder->sockets(), 1);
    const MemoryForecast forecast = forecast_memory(recipe, config, 4);
    EXPECT_EQ(forecast.trained_parameters, mixture.trained_parameter_count());
    return std::pair(forecast, stored_numbers(mixture));
  };
  const auto [few, few_numbers] = with_references(40);
  const auto [many, many_numbers] = with_references(400);
  EXPECT_EQ(few_numbers * 10, many_numbers);
  EXPECT_EQ(many.adapter_bytes - few.adapter_bytes, 4 * (many_numbers - few_numbers));
  EXPECT_EQ(many.optimizer_bytes, few.optimizer_bytes) << "nothing of them is trained";
  EXPECT_GT(many.activation_bytes, few.activation_bytes) << "a distance for each reference";
}

INSTANTIATE_TEST_SUITE_P(
    Shares,
    MemoriesOfGates,
    ::testing::Values(
        "{experts: {count: 3, rank: 2}, losses: [], gate: {net: nearest, references: 40}}",
        "{experts: {count: 3, rank: 2}, losses: [], target_modules: [k_proj, down_proj],"
        " gate: {net: nearest, references: 40}}",
        "{experts: {count: 3, rank: 2}, losses: [], layers_to_transform: [1],"
        " gate: {net: nearest, references: 40, source: block_input, share: block}}",
        "{experts: {count: 3, rank: 2}, losses: [],"
        " gate: {net: nearest, references: 40, source: embedding, share: model}}",
        "{attach: ffn_block, apply: outputs, target_modules: [gate_proj, up_proj, down_proj],"
        " losses: [], experts: {count: 3, rank: 2}, top_k: 2,"
        " gate: {net: nearest, references: 40, source: block_input, share: block}}"));

TEST(MemoryForecast, GrowsWithRowsAndTokens) {
  recipe::Recipe recipe = tiny_recipe("unused");
  const arch::ModelConfig config = test::tiny_config();
  const MemoryForecast small = forecast_memory(recipe, config, 4);
  recipe.batch.micro_batch_size *= 2;
  EXPECT_NEAR(static_cast<double>(forecast_memory(recipe, config, 4).activation_bytes),
              2.0 * static_cast<double>(small.activation_bytes), 2.0);
}

TEST(MemoryForecast, CountsWhatTheOptimizerKeeps) {
  recipe::Recipe recipe = tiny_recipe("unused");
  const arch::ModelConfig config = test::tiny_config();
  const auto optimizer_bytes = [&] { return forecast_memory(recipe, config, 4).optimizer_bytes; };
  const int64_t bytes = 4 * forecast_memory(recipe, config, 4).trained_parameters;
  EXPECT_EQ(optimizer_bytes(), 2 * bytes);
  recipe.optimizer.optimizer = recipe::Optimizer::kSgd;
  EXPECT_EQ(optimizer_bytes(), 0);
  recipe.optimizer.sgd_momentum = 0.9;
  EXPECT_EQ(optimizer_bytes(), bytes);
}

TEST(MemoryForecast, CountsOfAFileTheTokensOfItsDocuments) {
  recipe::Recipe recipe = tiny_recipe("unused");
  recipe.mixture.layers_to_transform = {1};
  recipe.run.frozen_prefix_cache_mb = 3;
  const arch::ModelConfig config = test::tiny_config();
  EXPECT_EQ(forecast_memory(recipe, config, 4).cache_bytes, 3 << 20);
  recipe.run.document_cache_file_mb = 100;
  EXPECT_EQ(forecast_memory(recipe, config, 4).cache_bytes,
            (3 << 20) + 8 * ((100 << 20) / (config.hidden_size * 4)));
}

struct Measured {
  const char* method;
  int64_t rank, dtype_bytes, rows, length;
  double peak;  ///< GB
};

/// Peak resident memory of `lmoe bench train` on SmolLM2-135M, two threads, with the preset of the
/// method but for the rank, also of plain LoRAs; 4 x 512 without dropout.
constexpr Measured kMeasured[] = {{"lora", 16, 4, 2, 128, 1.010},
                                  {"dora", 16, 4, 2, 128, 1.189},
                                  {"l-moe", 2, 4, 2, 128, 1.048},
                                  {"mola", 3, 4, 2, 128, 1.124},
                                  {"hydra", 7, 4, 2, 128, 1.022},
                                  {"ept", 25, 4, 2, 128, 1.881},
                                  {"smore", 1, 4, 2, 128, 1.219},
                                  {"x-lora", 4, 4, 2, 128, 0.935},
                                  {"mixlora-switch", 2, 4, 2, 128, 1.061},
                                  {"k-shot", 21, 4, 2, 128, 0.963},
                                  {"cat", 8, 4, 2, 128, 0.928},
                                  {"lora", 64, 4, 4, 512, 2.940},
                                  {"mixlora", 8, 4, 4, 512, 2.411},
                                  {"l-moe", 8, 4, 4, 512, 3.026},
                                  {"lora", 64, 2, 4, 256, 1.295},
                                  {"l-moe", 8, 2, 4, 256, 1.733}};

TEST(MemoryForecast, IsCloseToWhatWasMeasured) {
  const arch::ModelConfig config = test::with_smollm2_shape(test::tiny_config());
  for (const Measured& measured : kMeasured) {
    recipe::Recipe recipe = tiny_recipe("unused");
    recipe.mixture = spec::find_method(measured.method).preset();
    recipe.mixture.experts.rank = recipe.mixture.plain.rank = measured.rank;
    if (measured.length == 512) recipe.mixture.experts.dropout = recipe.mixture.plain.dropout = 0.0;
    recipe.run.first_pass_cache_mb = 0;
    recipe.batch.micro_batch_size = measured.rows;
    recipe.data.sequence_len = measured.length;
    const double forecast =
        static_cast<double>(forecast_memory(recipe, config, measured.dtype_bytes).total()) / 1e9;
    EXPECT_GT(forecast, 0.98 * measured.peak) << measured.method << " " << measured.length;
    EXPECT_LT(forecast, 1.07 * measured.peak) << measured.method << " " << measured.length;
  }
}

}  // namespace
}  // namespace lmoe::train
