#include "train/memory_forecast.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "train/tiny_run.h"

namespace lmoe::train {
namespace {

using ::testing::HasSubstr;

class ParameterCounts : public ::testing::TestWithParam<const char*> {};

spec::MixtureSpec spec_of(const std::string& name) {
  spec::MixtureSpec spec = spec::find_method(name == "lora" ? "lora" : "l-moe").preset();
  if (spec.has_gate()) spec.experts.count = 3;
  spec.experts.rank = 2;
  if (name == "mlp") spec.gate.net = spec::GateNet::kMlp;
  if (name == "block") {
    spec.gate.source = spec::GateSource::kBlockInput;
    spec.gate.share = spec::GateShare::kBlock;
  }
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
    const mixture::Mixture mixture(recipe.mixture, decoder->projection_groups(), 1);
    const MemoryForecast forecast = forecast_memory(recipe, config, 4);
    EXPECT_EQ(forecast.trained_parameters, mixture.parameter_count());
    EXPECT_EQ(forecast.base_bytes, decoder->weight_bytes());
  }
}

INSTANTIATE_TEST_SUITE_P(All, ParameterCounts, ::testing::Values("lora", "l-moe", "block", "some"));

TEST(MemoryForecast, GrowsWithRowsAndTokens) {
  recipe::Recipe recipe = tiny_recipe("unused");
  const arch::ModelConfig config = test::tiny_config();
  const MemoryForecast small = forecast_memory(recipe, config, 4);
  recipe.batch.micro_batch_size *= 2;
  EXPECT_NEAR(static_cast<double>(forecast_memory(recipe, config, 4).activation_bytes),
              2.0 * static_cast<double>(small.activation_bytes), 2.0);
}

TEST(MemoryForecast, RefusesEarlyWithWhatWouldFit) {
  recipe::Recipe recipe = tiny_recipe("unused");
  const arch::ModelConfig config = test::tiny_config();
  recipe.batch.micro_batch_size = 3;
  const int64_t needed = forecast_memory(recipe, config, 4).total();
  EXPECT_NO_THROW(check_memory(recipe, config, 4, needed));
  EXPECT_NO_THROW(check_memory(recipe, config, 4, 0));
  recipe.batch.micro_batch_size = 200;
  try {
    check_memory(recipe, config, 4, needed);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
    EXPECT_THAT(error.what(), HasSubstr("hint: micro_batch_size="));
  }
  recipe.data.sequence_len = 100'000;
  EXPECT_THAT(memory_shortage(recipe, config, 4, 2 * needed),
              HasSubstr("hint: micro_batch_size=1 with sequence_len="));
  try {
    check_memory(recipe, config, 4, 1000);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("hint: bf16=true, fewer experts"));
  }
}

}  // namespace
}  // namespace lmoe::train
