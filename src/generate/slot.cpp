#include "generate/slot.h"

#include <algorithm>

namespace lmoe::generate {
namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

std::vector<text::TokenId> end_tokens(const GenerateOptions& options,
                                      const text::Tokenizer& tokenizer) {
  if (options.ignore_eos) return {};
  if (!options.eos_token_id.empty()) return options.eos_token_id;
  const auto eos = tokenizer.special_tokens().eos;
  return eos ? std::vector<text::TokenId>{*eos} : std::vector<text::TokenId>{};
}

}  // namespace

Slot::Slot(size_t index,
           const GenerateRequest& request,
           decode::StepModel& model,
           const text::Tokenizer& tokenizer,
           const GenerateHooks& hooks)
    : index_(index),
      request_(request),
      tokenizer_(tokenizer),
      hooks_(hooks),
      max_positions_(model.max_positions()),
      own_cache_(request.cache ? nullptr : std::make_unique<SequenceCache>(model)),
      cache_(request.cache ? request.cache : own_cache_.get()),
      eos_(end_tokens(request.options, tokenizer)),
      sampler_(request.options.sampling),
      detokenizer_(tokenizer),
      stop_(request.options.stop),
      started_(Clock::now()) {
  const int64_t reused = cache_->begin(request.prompt, request.passages);
  pending_ = std::span(request.prompt).subspan(static_cast<size_t>(reused));
  result_.stats.prompt_tokens = static_cast<int64_t>(request.prompt.size());
  result_.stats.reused_tokens = reused;
}

bool Slot::absorb(size_t fed, std::span<float> logits, decode::TokenRouting* routing) {
  cache_->fed(pending_.first(fed));
  pending_ = pending_.subspan(fed);
  if (!pending_.empty()) return false;
  // Models may have more rows than the tokenizer has ids (padded embeddings); those have no text.
  const auto known = std::min(logits.size(), static_cast<size_t>(tokenizer_.vocab_size()));
  const text::TokenId id = sampler_.sample(logits.first(known), cache_->ids());
  if (routing != nullptr) result_.routing.push_back(std::move(*routing));
  return accept(id);
}

bool Slot::accept(text::TokenId id) {
  if (result_.ids.empty()) first_token_ = Clock::now();
  result_.ids.push_back(id);
  if (std::find(eos_.begin(), eos_.end(), id) != eos_.end()) {
    result_.finish_reason = FinishReason::kEos;
    return true;
  }
  emit(stop_.add(detokenizer_.add(id)));
  if (stop_.found()) {
    result_.finish_reason = FinishReason::kStop;
  } else if (static_cast<int64_t>(result_.ids.size()) >= request_.options.max_new_tokens) {
    result_.finish_reason = FinishReason::kLength;
  } else if (static_cast<int64_t>(cache_->ids().size()) >= max_positions_) {
    result_.finish_reason = FinishReason::kContext;
  } else {
    to_feed_.assign(1, id);
    pending_ = to_feed_;
    return false;
  }
  return true;
}

void Slot::emit(const std::string& text) {
  if (text.empty()) return;
  result_.text += text;
  if (hooks_.on_text) hooks_.on_text(index_, text);
}

Generation Slot::finish(FinishReason reason) {
  result_.finish_reason = reason;
  if (!stop_.found()) {
    emit(stop_.add(detokenizer_.finish()));
    if (!stop_.found()) emit(stop_.finish());
  }
  if (stop_.found()) {
    result_.finish_reason = FinishReason::kStop;
    result_.stop = *stop_.found();
  }
  GenerationStats& stats = result_.stats;
  stats.new_tokens = static_cast<int64_t>(result_.ids.size());
  if (stats.new_tokens > 0) stats.time_to_first_token_ms = 1e3 * seconds(first_token_ - started_);
  if (stats.new_tokens > 1) {
    const double elapsed = std::max(seconds(Clock::now() - first_token_), 1e-9);
    stats.tokens_per_second = static_cast<double>(stats.new_tokens - 1) / elapsed;
  }
  if (hooks_.on_finish) hooks_.on_finish(index_, result_);
  return std::move(result_);
}

}  // namespace lmoe::generate
