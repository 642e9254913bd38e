// What refits of documents decide, and what they leave behind when they are stopped.
#include "runner/refit_documents.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/rng.h"
#include "runner/packed_scores.h"
#include "spec/method_info.h"
#include "support/tiny_decoder.h"

namespace lmoe::runner {
namespace {

spec::MixtureSpec two_experts() {
  spec::MixtureSpec spec = spec::find_method("l-moe").preset();
  spec.experts.count = 2;
  spec.experts.rank = 2;
  return spec;
}

TEST(RefitDocuments, StoppedInTheMiddleItLeavesTheMixtureInItsPlace) {
  const auto decoder = test::tiny_decoder();
  mixture::Mixture mixture(two_experts(), decoder->sockets(), 3);
  mixture.plug(decoder->sockets());
  const std::vector<Document> documents = {{{1, 2, 3, 4}, {-1, 2, 3, 4}}, {{5, 6, 7}, {-1, 6, 7}}};
  const auto stop_at_the_second_expert = [](int64_t done, int64_t total) {
    ASSERT_EQ(total, 6);
    if (done == 5) fail(ErrorCode::kInterrupted, "stopped");
  };
  EXPECT_THROW(
      refit_on_documents(*decoder, mixture, documents, /*ridge=*/1e-8, stop_at_the_second_expert),
      Error);
  nn::RouterLog log;
  nn::ForwardContext context;
  context.router_log = &log;
  context.segments = {{0, 3}};
  const c10::NoGradGuard no_grad;
  decoder->forward(at::tensor({5, 6, 7}, at::kLong), context);
  EXPECT_EQ(log.records.size(), mixture.sites().size()) << "its gates decide again";
}

TEST(RefitReferences, EachDocumentGoesToTheExpertThatAnswersItBest) {
  const auto decoder = test::tiny_decoder();
  mixture::Mixture mixture(two_experts(), decoder->sockets(), 3);
  {
    const c10::NoGradGuard no_grad;
    Rng rng(7);
    for (const nn::NamedTensor& parameter : mixture.parameters()) {
      at::Tensor tensor = parameter.tensor.view({-1});
      for (int64_t i = 0; i < tensor.numel(); ++i) tensor[i] = rng.uniform(-0.3, 0.3);
    }
  }
  mixture.plug(decoder->sockets());
  const std::vector<Document> documents = {{{1, 2, 3, 4}, {-1, 2, 3, 4}}, {{5, 6, 7}, {-1, 6, 7}}};
  int64_t last = 0;
  const auto refit = refit_references(*decoder, mixture, documents,
                                      {.references = 5, .retrieval = {.neighbours = 3}},
                                      [&](int64_t done, int64_t) { last = done; });
  EXPECT_EQ(last, 6);
  EXPECT_EQ(refit.mixture->spec().gate.references, 4) << "two of each document";
  mixture.unplug(decoder->sockets());
  std::vector<std::vector<double>> losses(2);
  for (int64_t e = 0; e < 2; ++e) {
    const auto alone = expert_alone(mixture, decoder->sockets(), e);
    alone->plug(decoder->sockets());
    for (const Document& document : documents) {
      const auto scored = score_sequences(*decoder, {&document.ids, 1}, {}, -1);
      double sum = 0;
      for (const float logprob : scored[0].logprobs) sum -= logprob;
      losses[static_cast<size_t>(e)].push_back(sum);
    }
    alone->unplug(decoder->sockets());
  }
  for (size_t n = 0; n < 2; ++n)
    EXPECT_EQ(refit.expert_of[n], losses[0][n] <= losses[1][n] ? 0 : 1) << n;
  EXPECT_THROW(refit_references(*decoder, mixture, documents, {.references = 1}, nullptr), Error);
}

}  // namespace
}  // namespace lmoe::runner
