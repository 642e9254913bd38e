// What a refit leaves behind when it is stopped.
#include "runner/refit_documents.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "spec/method_info.h"
#include "support/tiny_decoder.h"

namespace lmoe::runner {
namespace {

TEST(RefitDocuments, StoppedInTheMiddleItLeavesTheMixtureInItsPlace) {
  const auto decoder = test::tiny_decoder();
  spec::MixtureSpec spec = spec::find_method("l-moe").preset();
  spec.experts.count = 2;
  spec.experts.rank = 2;
  mixture::Mixture mixture(spec, decoder->sockets(), 3);
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

}  // namespace
}  // namespace lmoe::runner
