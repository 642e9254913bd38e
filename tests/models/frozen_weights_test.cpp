// Decoders whose matrices are kept small, against the same ones expanded at once.
#include "arch/frozen_weights.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "arch/weight_inventory.h"
#include "base/error.h"
#include "models/decoder.h"
#include "nn/loss.h"
#include "support/nudge.h"
#include "support/stored_base.h"

namespace lmoe::models {
namespace {

using arch::FrozenWeights;
using test::block_config;
using test::stored_base;

std::unique_ptr<Decoder> load(arch::BaseModel base,
                              FrozenWeights frozen,
                              at::ScalarType dtype = at::kFloat) {
  return Decoder::load(base, {.dtype = dtype, .frozen_weights = frozen});
}

/// Loss, logits, and the gradient of a matrix beside every projection.
std::vector<at::Tensor> outcome(const Decoder& decoder, bool is_recomputed = false) {
  at::set_num_threads(1);  // threads that wait for each other cost more than such small tensors
  at::manual_seed(5);
  std::vector<at::Tensor> matrices;
  for (nn::ProjectionGroup* group : decoder.projection_groups()) {
    std::vector<at::Tensor> own;
    for (const nn::FrozenLinear& linear : group->linears())
      own.push_back((0.01 * at::randn(linear.weight.sizes())).set_requires_grad(true));
    matrices.insert(matrices.end(), own.begin(), own.end());
    group->unplug();
    group->plug(std::make_shared<test::Nudge>(std::move(own)));
  }
  const at::Tensor ids = at::randint(decoder.config().vocab_size, {17}, at::kLong);
  nn::ForwardContext context = test::packed_documents({11, 6});
  if (is_recomputed) context.recompute_for = &matrices;
  const at::Tensor hidden = decoder.forward(ids, context);
  const at::Tensor loss = nn::labelled_cross_entropy_sum(hidden, ids.roll(-1), decoder.lm_head());
  loss.backward();
  std::vector<at::Tensor> all = {loss.detach(), hidden.detach(), decoder.embed(ids)};
  for (const at::Tensor& matrix : matrices) all.push_back(matrix.grad());
  return all;
}

void expect_same_bits(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_TRUE(a[i].defined() && b[i].defined()) << i;
    EXPECT_TRUE(at::equal(a[i], b[i])) << i;
  }
}

class FileType : public ::testing::TestWithParam<io::DType> {};

INSTANTIATE_TEST_SUITE_P(Types,
                         FileType,
                         ::testing::ValuesIn(test::small_types()),
                         [](const auto& type) { return io::dtype_name(type.param); });

TEST_P(FileType, GivesTheSameBitsAsDense) {
  arch::ModelConfig config = block_config();
  for (const bool tied : {true, false}) {
    config.tie_word_embeddings = tied;
    const auto dense = load(stored_base(config, GetParam()), FrozenWeights::kDense);
    const auto file = load(stored_base(config, GetParam()), FrozenWeights::kFile);
    EXPECT_EQ(file->parameter_count(), dense->parameter_count());
    EXPECT_LT(file->weight_bytes(), 0.6 * static_cast<double>(dense->weight_bytes()));
    const std::vector<at::Tensor> expected = outcome(*dense);
    EXPECT_GT(expected[0].item<float>(), 0.0);
    expect_same_bits(outcome(*file), expected);
    expect_same_bits(outcome(*file, /*is_recomputed=*/true), expected);
    EXPECT_TRUE(at::allclose(file->logits(expected[1]), dense->logits(expected[1]), 1e-5, 1e-5));
  }
}

// Logits for use are another matter: a dense head in bfloat16 is multiplied as a whole.
TEST_P(FileType, GivesTheSameBitsOfLossAndGradientsInBfloat16) {
  const auto dense =
      load(stored_base(block_config(), GetParam()), FrozenWeights::kDense, at::kBFloat16);
  const auto file =
      load(stored_base(block_config(), GetParam()), FrozenWeights::kFile, at::kBFloat16);
  expect_same_bits(outcome(*file), outcome(*dense));
}

TEST(FrozenWeightsTest, RoundedOnesAreThoseOfARoundedBase) {
  const auto wide = [] { return stored_base(block_config(), io::DType::kF32); };
  const std::vector<at::Tensor> unrounded = outcome(*load(wide(), FrozenWeights::kDense));
  for (const auto& [frozen, dtype] : {std::pair{FrozenWeights::kBf16, io::DType::kBF16},
                                      {FrozenWeights::kInt8, io::DType::kQ8_0},
                                      {FrozenWeights::kInt4, io::DType::kQ4_1}}) {
    const auto expected = outcome(*load(test::rounded_base(wide(), dtype), FrozenWeights::kDense));
    expect_same_bits(outcome(*load(wide(), frozen)), expected);
    EXPECT_FALSE(at::equal(expected[0], unrounded[0]));
    EXPECT_NEAR(expected[0].item<double>(), unrounded[0].item<double>(),
                0.1 * unrounded[0].item<double>());
  }
}

TEST(FrozenWeightsTest, TakeTheMemoryThatTheInventorySays) {
  for (const test::KeptWay& way : test::kept_ways()) {
    const arch::WeightInventory weights = arch::inventory(stored_base(block_config(), way.stored));
    const auto decoder = load(stored_base(block_config(), way.stored), way.frozen, way.computed);
    EXPECT_EQ(weights.bytes(way.frozen, way.bytes()), decoder->weight_bytes());
    EXPECT_EQ(weights.largest_projection, 512 * 256);
    const bool saves =
        weights.bytes(way.frozen, way.bytes()) < weights.bytes(FrozenWeights::kDense, way.bytes());
    EXPECT_EQ(decoder->lm_head().is_dense(), !saves);
  }
}

TEST(FrozenWeightsTest, RoundWhereTheyAreKeptInAnotherTypeThanTheFiles) {
  for (const test::KeptWay& way : test::kept_ways()) {
    const auto base = [&] { return stored_base(block_config(), way.stored); };
    const auto rounding = arch::inventory(base()).rounding(way.frozen, way.bytes());
    EXPECT_TRUE(!rounding || rounding == way.frozen);
    const c10::NoGradGuard no_grad;
    const at::Tensor ids = at::arange(7);
    const auto hidden = [&](FrozenWeights frozen) {
      nn::ForwardContext context = test::packed_documents({7});
      return load(base(), frozen, way.computed)->forward(ids, context);
    };
    EXPECT_EQ(at::equal(hidden(way.frozen), hidden(FrozenWeights::kDense)), !rounding)
        << io::dtype_name(way.stored) << " " << way.computed << " " << enum_name(way.frozen);
  }
}

TEST(FrozenWeightsTest, RowsThatAreNoWholeBlocksAreRefused) {
  arch::BaseModel base = stored_base(test::tiny_config(), io::DType::kF32);  // rows of 16
  try {
    Decoder::load(base, {.frozen_weights = FrozenWeights::kInt8});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(error.what(),
                ::testing::HasSubstr("token_embd.weight [50, 16] cannot be kept as Q8_0"));
  }
}

}  // namespace
}  // namespace lmoe::models
