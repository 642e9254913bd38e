// A tiny decoder with a bank of prompts, and three packed documents.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "mixture/mixture.h"
#include "mixture/prompt_bank.h"
#include "mixture/sections.h"
#include "support/tiny_decoder.h"

namespace lmoe::test {

inline constexpr int64_t kTokens =
    40;  ///< of the vocabulary; the rest stands for prompts in the oracle
inline constexpr int64_t kWidth = 16;
inline constexpr const char* kSection =
    "{experts: {count: 3, rank: 2}, losses: [{kind: switch, coef: 0.01}],"
    " prompts: {count: 4, length: 2, select: 2, init_range: 0.5, matching_coef: 0.3}}";

inline at::Tensor random_ids(int64_t count, uint64_t seed = 1) {
  at::manual_seed(seed);
  return at::randint(kTokens, {count}, at::kLong);
}

/// Prompts of 2 of 4, of 3 of 5 and of 1 of 3 tokens.
inline std::vector<nn::Segment> three_documents() {
  return {{.start = 0, .length = 4, .prompt = 2},
          {.start = 4, .length = 5, .prompt = 3},
          {.start = 9, .length = 3, .prompt = 1}};
}

inline double max_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

class PromptBankTest : public ::testing::Test {
 protected:
  explicit PromptBankTest(const std::string& section = kSection) { make(section); }

  void make(const std::string& section) {
    if (mixture_) mixture_->unplug(decoder_->sockets());
    mixture_ = std::make_unique<mixture::Mixture>(read_section(section), decoder_->sockets(), 5,
                                                  at::kDouble);
    const c10::NoGradGuard no_grad;
    at::manual_seed(4);
    for (const nn::NamedTensor& parameter : mixture_->parameters())
      at::Tensor(parameter.tensor).add_(0.3 * at::randn(parameter.tensor.sizes(), at::kDouble));
    mixture_->plug(decoder_->sockets());
  }

  at::Tensor forward(const at::Tensor& ids, std::vector<nn::Segment> segments) {
    log_ = {};
    log_.segments = segments;
    nn::ForwardContext context;
    context.router_log = &log_;
    context.segments = std::move(segments);
    return decoder_->forward(ids, context);
  }

  std::vector<int64_t> chosen(int64_t document) const {
    const at::Tensor row = log_.chosen_prompts[document].contiguous();
    return {row.const_data_ptr<int64_t>(), row.const_data_ptr<int64_t>() + row.numel()};
  }

  at::Tensor embedding_of(const at::Tensor& ids) const {
    return decoder_->lm_head().expand().index_select(0, ids);  // tied
  }

  const mixture::PromptBank& bank() const { return *mixture_->prompt_bank(); }

  std::unique_ptr<models::Decoder> decoder_ = tiny_decoder(tiny_config(), at::kDouble);
  std::unique_ptr<mixture::Mixture> mixture_;
  nn::RouterLog log_;
  at::Tensor ids_ = random_ids(12);
};

}  // namespace lmoe::test
