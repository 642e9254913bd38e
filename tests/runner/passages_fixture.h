// A tiny decoder, a mixture in it, and documents whose passages are kept apart.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "mixture/mixture.h"
#include "mixture/site_bank.h"
#include "support/tiny_decoder.h"

namespace lmoe::runner {

using Ids = std::vector<int32_t>;

inline constexpr int32_t kVocab = 50;
inline constexpr int64_t kLength = 24, kPrompt = 18;
/// A beginning of 2 tokens, two instructions side by side, one after shared text, the answer.
inline const Passages kPassages = {{2, 7, 1}, {7, 12, 2}, {14, 16, 3}};

/// An expert for each passage, none for other tokens.
inline constexpr const char* kOwnExperts =
    "{experts: {count: 3, rank: 2}, losses: [],"
    " select: {private_experts: 1, private_by: passage, groups: 3}}";

inline Ids random_ids(size_t count, uint64_t seed) {
  Rng rng(seed);
  Ids ids(count);
  for (int32_t& id : ids) id = static_cast<int32_t>(rng.below(kVocab));
  return ids;
}

class PassagesTest : public ::testing::Test {
 protected:
  /// Factors and gates of random numbers; `a_mixture` is plugged in.
  void make(const std::string& a_mixture, at::ScalarType dtype = at::kDouble) {
    const c10::NoGradGuard no_grad;
    if (mixture_ != nullptr) mixture_->unplug(decoder_->sockets());
    decoder_ = test::tiny_decoder(test::tiny_config(), dtype);
    ReadReport report;
    mixture_ = std::make_unique<mixture::Mixture>(
        spec::read_mixture(parse_config(a_mixture, "test"), report), decoder_->sockets(), 5, dtype);
    at::manual_seed(4);
    for (const nn::NamedTensor& parameter : mixture_->parameters())
      at::Tensor(parameter.tensor).add_(0.3 * at::randn(parameter.tensor.sizes(), dtype));
    mixture_->plug(decoder_->sockets());
  }

  at::Tensor hidden(const std::vector<Ids>& documents,
                    const std::vector<Passages>& passages) const {
    nn::ForwardContext context;
    return hidden(documents, passages, context);
  }
  at::Tensor hidden(const std::vector<Ids>& documents,
                    const std::vector<Passages>& passages,
                    nn::ForwardContext& context) const {
    std::vector<int64_t> ids;
    for (size_t i = 0; i < documents.size(); ++i) {
      context.segments.push_back({.start = std::ssize(ids),
                                  .length = std::ssize(documents[i]),
                                  .prompt = std::min(kPrompt, std::ssize(documents[i])),
                                  .passages = passages[i]});
      ids.insert(ids.end(), documents[i].begin(), documents[i].end());
    }
    return decoder_->forward(at::tensor(ids, at::kLong), context);
  }

  std::string refusal(const std::string& a_mixture) {
    make(a_mixture);
    try {
      hidden({random_ids(kLength, 1)}, {kPassages});
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      return error.what();
    }
    return "accepted";
  }

  std::unique_ptr<models::Decoder> decoder_;
  std::unique_ptr<mixture::Mixture> mixture_;
};

}  // namespace lmoe::runner
