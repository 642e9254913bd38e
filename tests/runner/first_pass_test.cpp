// A mixture that decides from a first pass of the base: x-lora.md over a whole decoder.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "nn/document_cache.h"
#include "runner/torch_step_model.h"
#include "spec/method_info.h"
#include "support/gradient_check.h"
#include "support/tiny_decoder.h"

namespace lmoe::runner {
namespace {

using decode::StepInput;
using Ids = std::vector<int32_t>;

at::Tensor random_ids(int64_t count, uint64_t seed) {
  Rng rng(seed);
  at::Tensor ids = at::empty({count}, at::kLong);
  for (int64_t i = 0; i < count; ++i) ids[i] = static_cast<int64_t>(rng.below(50));
  return ids;
}

/// X-LoRA with experts that do something.
class FirstPass : public ::testing::Test {
 protected:
  FirstPass() : decoder_(test::tiny_decoder()), mixture_(spec(), decoder_->sockets(), 5) {
    const c10::NoGradGuard no_grad;
    at::manual_seed(4);
    for (const nn::NamedTensor& parameter : mixture_.parameters())
      at::Tensor(parameter.tensor).add_(0.3 * at::randn(parameter.tensor.sizes()));
  }

  static spec::MixtureSpec spec() {
    spec::MixtureSpec spec = spec::find_method("x-lora").preset();
    spec.experts.count = 3;
    spec.experts.rank = 2;
    spec.target_modules = {"q_proj", "v_proj", "down_proj"};
    spec.schedule.freeze_experts = false;
    return spec;
  }

  at::Tensor forward(const at::Tensor& ids, nn::ForwardContext& context) const {
    const c10::NoGradGuard no_grad;
    return decoder_->forward(ids, context);
  }

  std::unique_ptr<models::Decoder> decoder_;
  mixture::Mixture mixture_;
};

TEST_F(FirstPass, EndsAsTheBaseAloneDoesWhateverTheAdaptersAre) {
  const at::Tensor ids = random_ids(20, 1);
  nn::ForwardContext alone = test::packed_documents({12, 8});
  const at::Tensor base = forward(ids, alone);
  mixture_.plug(decoder_->sockets());
  nn::ForwardContext context = test::packed_documents({12, 8});
  const at::Tensor adapted = forward(ids, context);
  EXPECT_TRUE(at::equal(context.last_hidden, base));
  EXPECT_GT((adapted - base).abs().max().item<double>(), 1e-2);
  mixture_.unplug(decoder_->sockets());
  nn::ForwardContext again = test::packed_documents({12, 8});
  EXPECT_TRUE(at::equal(forward(ids, again), base));
}

TEST_F(FirstPass, DecodingTokenByTokenWithTwoCachesEqualsOneForward) {
  mixture_.plug(decoder_->sockets());
  const at::Tensor ids = random_ids(20, 1);
  nn::ForwardContext whole = test::packed_documents({20});
  const at::Tensor expected = decoder_->logits(forward(ids, whole));
  TorchStepModel steps(*decoder_, &mixture_);
  const auto sequence = steps.open_sequence();
  Ids all;
  for (int64_t i = 0; i < 20; ++i) all.push_back(static_cast<int32_t>(ids[i].item<int64_t>()));
  const std::span<const int32_t> view = all;
  for (size_t done = 0, next = 7; done < 20; done += next, next = 1) {
    const auto out = steps.step(std::vector<StepInput>{{sequence, view.subspan(done, next)}});
    const auto row = static_cast<int64_t>(done + next) - 1;
    EXPECT_LT(
        test::relative_error(at::tensor(at::ArrayRef<float>(out.logits.data(), 50)), expected[row]),
        1e-5);
  }
}

TEST_F(FirstPass, IsComputedOnceForEachDocumentWhereItIsKept) {
  mixture_.plug(decoder_->sockets());
  const at::Tensor first = random_ids(62, 1), second = random_ids(48, 2);
  nn::DocumentCache cache(1 << 20);
  for (const bool swapped : {false, true}) {
    const at::Tensor ids = swapped ? at::cat({second, first}) : at::cat({first, second});
    const std::vector<int64_t> lengths =
        swapped ? std::vector<int64_t>{48, 62} : std::vector<int64_t>{62, 48};
    nn::ForwardContext plain = test::packed_documents(lengths);
    nn::ForwardContext context = test::packed_documents(lengths);
    context.first_pass_cache = &cache;
    EXPECT_TRUE(at::equal(forward(ids, context), forward(ids, plain)));
    EXPECT_TRUE(at::equal(context.last_hidden.narrow(0, swapped ? 48 : 0, 62), cache.find(first)));
  }
  EXPECT_TRUE(cache.find(second).defined());
  EXPECT_FALSE(cache.find(random_ids(62, 3)).defined());
}

TEST(FirstPassOfAdapters, RunsWithoutADisabledExpertToo) {
  const auto decoder = test::tiny_decoder();
  spec::MixtureSpec spec = spec::find_method("x-lora").preset();
  spec.experts.count = spec.experts.rank = 2;
  spec.gate.first_pass_weight = 0.5;
  mixture::Mixture mixture(spec, decoder->sockets(), 5);
  const c10::NoGradGuard no_grad;
  at::manual_seed(4);
  for (const nn::NamedTensor& parameter : mixture.parameters())
    at::Tensor(parameter.tensor).add_(0.3 * at::randn(parameter.tensor.sizes()));
  mixture.plug(decoder->sockets());
  const at::Tensor ids = random_ids(9, 1);
  const auto last_hidden = [&](int disabled) {
    nn::ForwardContext context = test::packed_documents({9});
    context.disabled_expert = disabled;
    decoder->forward(ids, context);
    return context.last_hidden;
  };
  const at::Tensor all = last_hidden(-1), without = last_hidden(1);
  for (const nn::NamedTensor& parameter : mixture.parameters())  // B of the second expert
    if (parameter.name.ends_with(".lora_B")) at::Tensor(parameter.tensor).narrow(0, 2, 2).zero_();
  EXPECT_GT((all - without).abs().max().item<double>(), 1e-3);
  EXPECT_LT(test::relative_error(without, last_hidden(-1)), 1e-6);
}

TEST_F(FirstPass, TwoMixturesCannotDecideFromIt) {
  mixture_.plug(decoder_->sockets());
  spec::MixtureSpec other = spec();
  other.target_modules = {"o_proj"};
  mixture::Mixture second(other, decoder_->sockets(), 5);
  EXPECT_ANY_THROW(second.plug(decoder_->sockets()));
}

}  // namespace
}  // namespace lmoe::runner
