// A StepModel whose logits are a function of the ids so far, written in the test. It checks its
// callers: sequences must be open, contexts are never overrun, and at the end all are closed.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/error.h"
#include "decode/step_model.h"

namespace lmoe::test {

class FakeStepModel : public decode::StepModel {
 public:
  using History = std::span<const int32_t>;
  using LogitsOf = std::function<std::vector<float>(History)>;

  FakeStepModel(int64_t vocab_size, LogitsOf logits_of, int64_t max_positions = 64)
      : vocab_size_(vocab_size), max_positions_(max_positions), logits_of_(std::move(logits_of)) {}

  int64_t vocab_size() const override { return vocab_size_; }
  int64_t max_positions() const override { return max_positions_; }
  decode::SequenceId open_sequence() override {
    sequences_[next_] = {};
    most_open = std::max(most_open, sequences_.size());
    return next_++;
  }
  void close_sequence(decode::SequenceId sequence) override {
    if (sequences_.erase(sequence) != 1) throw std::logic_error("closed a sequence twice");
  }
  void truncate_sequence(decode::SequenceId sequence, int64_t length) override {
    auto& ids = sequences_.at(sequence);
    if (length > std::ssize(ids)) throw std::logic_error("truncated to more than there is");
    ids.resize(static_cast<size_t>(length));
  }

  decode::StepOutput step(std::span<const decode::StepInput> inputs, bool want_routing) override {
    if (inputs.empty()) throw std::logic_error("empty step");
    if (std::ssize(steps) == fail_at_step) fail(ErrorCode::kOutOfMemory, "[fake] out of memory");
    decode::StepOutput output;
    int64_t fed = 0;
    for (const decode::StepInput& input : inputs) {
      auto& ids = sequences_.at(input.sequence);
      fed += std::ssize(input.ids);
      if (input.ids.empty()) throw std::logic_error("input without ids");
      fed_prompts.push_back(input.prompt);
      fed_passages.emplace_back(input.passages.begin(), input.passages.end());
      std::vector<decode::TokenRouting> routing;
      for (const int32_t id : input.ids) {
        ids.push_back(id);
        if (want_routing && routing_of) routing.push_back(routing_of(ids));
      }
      if (std::ssize(ids) > max_positions_) throw std::logic_error("context overrun");
      const std::vector<float> logits = logits_of_(ids);
      output.logits.insert(output.logits.end(), logits.begin(), logits.end());
      if (want_routing && routing_of) output.routing.push_back(std::move(routing));
    }
    steps.push_back({std::ssize(inputs), fed});
    return output;
  }

  using decode::StepModel::score;
  std::vector<decode::ScoredSequence> score(std::span<const std::vector<int32_t>> sequences,
                                            const decode::ScoredParts& parts) override {
    scored_prompts.insert(scored_prompts.end(), parts.prompts.begin(), parts.prompts.end());
    scored_passages.insert(scored_passages.end(), parts.passages.begin(), parts.passages.end());
    std::vector<decode::ScoredSequence> scored;
    for (const auto& ids : sequences) {
      if (ids.empty() || std::ssize(ids) > max_positions_)
        throw std::logic_error("scored an empty or too long sequence");
      decode::ScoredSequence one;
      for (size_t i = 1; i < ids.size(); ++i) {
        const std::vector<float> logits = logits_of_(History(ids).first(i));
        const float largest = *std::max_element(logits.begin(), logits.end());
        double sum = 0.0;
        for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
        one.logprobs.push_back(static_cast<float>(logits[ids[i]] - largest - std::log(sum)));
        one.is_greedy.push_back(logits[ids[i]] == largest);
      }
      scored_tokens += std::ssize(ids);
      scored.push_back(std::move(one));
    }
    return scored;
  }

  bool decides_by_prompt() const override { return is_pooled; }
  const decode::RouterInfo* router() const override { return routing_of ? &router_info : nullptr; }
  void disable_expert(std::optional<int> expert) override { disabled_expert = expert; }

  bool all_closed() const { return sequences_.empty(); }

  struct Step {
    int64_t inputs;
    int64_t ids;
  };
  std::vector<Step> steps;
  size_t most_open = 0;
  int64_t fail_at_step = -1;
  bool is_pooled = false;            ///< what decides_by_prompt answers
  std::vector<int64_t> fed_prompts;  ///< of each input of each step
  std::vector<int64_t> scored_prompts;
  std::vector<Passages> fed_passages, scored_passages;  ///< the same
  int64_t scored_tokens = 0;
  std::function<decode::TokenRouting(History)> routing_of;
  decode::RouterInfo router_info;
  std::optional<int> disabled_expert;

 private:
  int64_t vocab_size_;
  int64_t max_positions_;
  LogitsOf logits_of_;
  std::map<decode::SequenceId, std::vector<int32_t>> sequences_;
  decode::SequenceId next_ = 1;
};

/// Logits that make `id` most likely.
inline std::vector<float> one_hot_logits(int64_t vocab_size, int32_t id, float height = 8.0F) {
  std::vector<float> logits(static_cast<size_t>(vocab_size), 0.0F);
  logits.at(static_cast<size_t>(id)) = height;
  return logits;
}

}  // namespace lmoe::test
