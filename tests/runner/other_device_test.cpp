// Whole decoders with mixtures on a device that our kernels do not know: the same hidden states,
// losses and gradients as on the CPU, and refusals of what is there for the CPU alone.
#include "support/other_device.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mixture/mixture.h"
#include "mixture/sections.h"
#include "models/document_rewards.h"
#include "nn/document_cache.h"
#include "nn/kv_cache.h"
#include "nn/loss.h"
#include "support/gradient_check.h"
#include "support/random_tensor.h"
#include "support/temp_folder.h"
#include "support/tiny_decoder.h"

namespace lmoe::runner {
namespace {

using test::other_device;
using test::refusal;
using test::relative_error;
using ::testing::HasSubstr;

constexpr int64_t kTokens = 16;

/// Ids and labels are on the CPU, where data come from.
at::Tensor some_ids() {
  at::manual_seed(3);
  return at::randint(test::tiny_config().vocab_size, {kTokens}, at::kLong);
}
at::Tensor some_labels() {
  at::manual_seed(4);
  const at::Tensor labels = at::randint(test::tiny_config().vocab_size, {kTokens}, at::kLong);
  return labels.masked_fill(at::rand({kTokens}) < 0.4, nn::kIgnoreLabel);
}

std::vector<nn::Segment> three_documents() {
  return {{.start = 0, .length = 5, .task = 0, .prompt = 2},
          {.start = 5, .length = 1, .task = 1, .prompt = 1},
          {.start = 6, .length = 10, .task = 1, .prompt = 4}};
}

struct Variant {
  const char* name;
  const char* section;
  bool is_busy = false;  ///< a decoder with everything that families have
  bool is_recomputed = false;
  at::ScalarType dtype = at::kDouble;
};

std::ostream& operator<<(std::ostream& out, const Variant& variant) { return out << variant.name; }

struct Result {
  std::vector<nn::NamedTensor> tensors;

  void add(const std::string& name, const at::Tensor& tensor) { tensors.push_back({name, tensor}); }
};

/// One training step without the optimizer.
Result run(const Variant& variant, at::Device device) {
  const auto decoder = test::tiny_decoder(
      variant.is_busy ? test::busy_config() : test::tiny_config(), variant.dtype, 7, device);
  const at::ScalarType trained_in = variant.dtype == at::kDouble ? at::kDouble : at::kFloat;
  mixture::Mixture mixture(test::read_section(variant.section), decoder->sockets(), 5, trained_in);
  mixture.plug(decoder->sockets());
  std::vector<at::Tensor> trained;
  at::manual_seed(6);
  for (const nn::NamedTensor& parameter : mixture.parameters()) {
    const at::Tensor change = 0.3 * at::randn(parameter.tensor.sizes(), at::kDouble);
    parameter.tensor.detach().add_(change.to(device, trained_in));
    trained.push_back(parameter.tensor);
  }
  nn::RouterLog log;
  nn::ForwardContext context;
  Rng rng(8);
  context.router_log = &log;
  context.is_training = true;
  context.dropout_rng = &rng;
  log.segments = context.segments = three_documents();
  if (variant.is_recomputed) context.recompute_for = &trained;

  Result result;
  const at::Tensor hidden = decoder->forward(some_ids(), context);
  at::Tensor loss = nn::labelled_cross_entropy_sum(hidden, some_labels(), decoder->lm_head(),
                                                   decoder->config().final_logit_softcapping, 3);
  result.add("hidden states", hidden);
  result.add("cross-entropy", loss);
  result.add("logits", decoder->logits(hidden));
  if (const at::Tensor auxiliary = mixture.auxiliary_loss(log); auxiliary.defined()) {
    result.add("auxiliary loss", auxiliary);
    loss = loss + auxiliary;
  }
  loss.backward();
  for (const nn::NamedTensor& parameter : mixture.parameters())
    result.add("gradient of " + parameter.name, parameter.tensor.grad());
  return result;
}

class OtherDevice : public ::testing::TestWithParam<Variant> {};

TEST_P(OtherDevice, GivesWhatTheCpuGives) {
  const double allowed = GetParam().dtype == at::kDouble  ? 1e-10
                         : GetParam().dtype == at::kFloat ? 2e-4
                                                          : 0.15;
  const Result expected = run(GetParam(), at::kCPU), actual = run(GetParam(), other_device());
  ASSERT_EQ(actual.tensors.size(), expected.tensors.size());
  for (size_t i = 0; i < actual.tensors.size(); ++i) {
    const auto& [name, ours] = actual.tensors[i];
    const at::Tensor& theirs = expected.tensors[i].tensor;
    ASSERT_EQ(ours.defined(), theirs.defined()) << name;
    if (!ours.defined()) continue;
    EXPECT_EQ(ours.device(), other_device()) << name;
    EXPECT_EQ(ours.scalar_type(), theirs.scalar_type()) << name;
    EXPECT_LT(relative_error(ours.to(at::kCPU), theirs), allowed) << name;
  }
}

constexpr const char* kDense = "{experts: {count: 3, rank: 2}, losses: [{kind: switch}]}";
constexpr const char* kTopK =
    "{experts: {count: 4, rank: 2, dropout: 0.2}, top_k: 2, gate: {source: block_input, share: "
    "block}}";
constexpr const char* kFfn = "{method: mixlora, experts: {count: 4, rank: 2, dropout: 0.2}}";

INSTANTIATE_TEST_SUITE_P(
    Variants,
    OtherDevice,
    ::testing::Values(
        Variant{"Dense", kDense},
        Variant{"DenseInABusyDecoder", kDense, true},
        Variant{"DenseRecomputed", kDense, false, true},
        Variant{"DenseFloat", kDense, true, false, at::kFloat},
        Variant{"DenseBFloat16", kDense, false, false, at::kBFloat16},
        Variant{"TopKWithDropout", kTopK},
        Variant{"TopKRecomputed", kTopK, false, true},
        Variant{"FfnWithDropout", kFfn},
        Variant{"FfnInABusyDecoder", kFfn, true},
        Variant{"FirstPass",
                "{method: x-lora, experts: {count: 3, rank: 2}, schedule: {freeze_experts: false},"
                " target_modules: [q_proj, v_proj, down_proj]}"},
        Variant{"PromptsInFront",
                "{experts: {count: 3, rank: 2}, prompts: {count: 4, length: 2, select: 2,"
                " init_range: 0.5, matching_coef: 0.3}}"},
        Variant{"GateOverPrompts", "{experts: {count: 3, rank: 2}, gate: {pool: prompt}}"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(OtherDevice, JudgesDocuments) {
  const auto rewards = [](at::Device device) {
    const auto decoder = test::tiny_decoder(test::tiny_config(), at::kDouble, 7, device);
    const nn::RewardHead head({.hidden_size = 16, .heads = 2}, 1,
                              at::TensorOptions(at::kDouble).device(device));
    nn::ForwardContext context;
    context.segments = three_documents();
    return models::document_rewards(*decoder, head, some_ids(), context, 0);
  };
  EXPECT_LT(relative_error(rewards(other_device()).to(at::kCPU), rewards(at::kCPU)), 1e-12);
}

TEST(OtherDevice, RefusesAKvCache) {
  const auto decoder = test::tiny_decoder(test::tiny_config(), at::kFloat, 7, other_device());
  nn::KvCache cache(2, 2, 4, at::kFloat);
  nn::ForwardContext context;
  context.kv_cache = &cache;
  context.segments = {{.start = 0, .length = kTokens, .slot = cache.open_slot()}};
  EXPECT_THAT(refusal([&] { decoder->forward(some_ids(), context); }),
              HasSubstr("[forward] a KV cache lies in CPU memory"));
}

TEST(OtherDevice, RefusesACacheOfDocuments) {
  const auto decoder = test::tiny_decoder(test::tiny_config(), at::kFloat, 7, other_device());
  nn::DocumentCache cache(1 << 20);
  const at::Tensor hidden = at::zeros({kTokens, 16}).to(other_device());
  EXPECT_THAT(refusal([&] { cache.keep(some_ids(), hidden); }),
              HasSubstr("[document_cache] documents are kept in CPU memory alone"));
}

TEST(OtherDevice, RefusesMatricesOfASmallerType) {
  models::DecoderWeights weights;
  weights.embedding =
      nn::FrozenMatrix(test::random_tensor("embedding", io::DType::kQ8_0, {50, 32}, 1), at::kFloat);
  weights.lm_head = weights.embedding;
  weights.final_norm = at::ones({32}).to(other_device());
  EXPECT_THAT(refusal([&] { models::Decoder::build(test::tiny_config(), std::move(weights)); }),
              HasSubstr("hint: frozen_weights=dense"));
}

TEST(OtherDevice, RefusesToSaveAndIsSavedThroughTheCpu) {
  const auto there = test::tiny_decoder(test::tiny_config(), at::kFloat, 7, other_device());
  const auto here = test::tiny_decoder();
  const mixture::Mixture trained(test::read_section(kDense), there->sockets(), 5);
  mixture::Mixture copy(test::read_section(kDense), here->sockets(), 6);
  const test::TempFolder folder;
  EXPECT_THAT(refusal([&] { trained.save(folder.path(), "tiny"); }),
              HasSubstr("is written from CPU memory alone"));
  copy.copy_from(trained);
  copy.save(folder.path(), "tiny");
  const auto loaded = mixture::Mixture::load(folder.path(), there->sockets());
  for (size_t i = 0; i < loaded->parameters().size(); ++i) {
    const at::Tensor back = loaded->parameters()[i].tensor;
    EXPECT_EQ(back.device(), other_device());
    EXPECT_TRUE(at::equal(back.to(at::kCPU), trained.parameters()[i].tensor.to(at::kCPU)));
  }
}

}  // namespace
}  // namespace lmoe::runner
