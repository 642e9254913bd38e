#include "generate/generator.h"

#include <algorithm>
#include <memory>
#include <set>

#include "generate/slot.h"

namespace lmoe::generate {
namespace {

/// What one step feeds: an input per slot that takes part.
struct StepPlan {
  std::vector<decode::StepInput> inputs;
  std::vector<Slot*> slots;
  bool want_routing = false;

  void add(Slot& slot, size_t count) {
    inputs.push_back(
        {slot.sequence(), slot.pending().first(count), slot.prompt(), slot.passages()});
    slots.push_back(&slot);
    want_routing = want_routing || slot.wants_routing();
  }
};

/// Running answers come first, one id each; prompts share what is left of the step. Where they
/// `stay_whole`, the last one may take more than that.
StepPlan plan_step(std::span<const std::unique_ptr<Slot>> slots,
                   int64_t max_step_tokens,
                   bool stay_whole) {
  StepPlan plan;
  auto left = static_cast<size_t>(max_step_tokens);
  for (const auto& slot : slots) {
    if (slot->pending().size() != 1) continue;
    plan.add(*slot, 1);
    --left;
  }
  for (const auto& slot : slots) {
    const size_t wanted = slot->pending().size();
    if (wanted == 1 || left == 0) continue;
    const size_t count = stay_whole ? wanted : std::min(left, wanted);
    plan.add(*slot, count);
    left -= std::min(left, count);
  }
  return plan;
}

std::set<const Slot*> run_step(decode::StepModel& model, const StepPlan& plan) {
  decode::StepOutput output = model.step(plan.inputs, plan.want_routing);
  const auto vocab = static_cast<size_t>(model.vocab_size());
  LMOE_ASSERT(output.logits.size() == plan.inputs.size() * vocab);
  std::set<const Slot*> finished;
  for (size_t i = 0; i < plan.slots.size(); ++i) {
    Slot& slot = *plan.slots[i];
    const bool has_routing =
        slot.wants_routing() && i < output.routing.size() && !output.routing[i].empty();
    decode::TokenRouting* routing = has_routing ? &output.routing[i].back() : nullptr;
    if (slot.absorb(plan.inputs[i].ids.size(), std::span(output.logits).subspan(i * vocab, vocab),
                    routing))
      finished.insert(&slot);
  }
  return finished;
}

}  // namespace

Generator::Generator(decode::StepModel& model, const text::Tokenizer& tokenizer, BatchOptions batch)
    : model_(model), tokenizer_(tokenizer), batch_(batch) {
  LMOE_CHECK_ARG(batch.max_sequences >= 1 && batch.max_step_tokens >= batch.max_sequences,
                 "[generate] batch is too small: given max_sequences ", batch.max_sequences,
                 " and max_step_tokens ", batch.max_step_tokens,
                 ", expected at least 1, and max_step_tokens not below max_sequences");
}

Generation Generator::run(const GenerateRequest& request, const GenerateHooks& hooks) {
  return std::move(run_batch(std::span(&request, 1), hooks).front());
}

std::vector<Generation> Generator::run_batch(std::span<const GenerateRequest> requests,
                                             const GenerateHooks& hooks) {
  check(requests);
  std::vector<Generation> results(requests.size());
  std::vector<std::unique_ptr<Slot>> slots;
  size_t next = 0;
  while (next < requests.size() || !slots.empty()) {
    if (hooks.is_cancelled && hooks.is_cancelled()) {
      for (const auto& slot : slots)
        results[slot->index()] = slot->finish(FinishReason::kCancelled);
      for (; next < requests.size(); ++next) results[next].finish_reason = FinishReason::kCancelled;
      break;
    }
    for (; next < requests.size() && std::ssize(slots) < batch_.max_sequences; ++next)
      slots.push_back(std::make_unique<Slot>(next, requests[next], model_, tokenizer_, hooks));
    const auto finished =
        run_step(model_, plan_step(slots, batch_.max_step_tokens, model_.decides_by_prompt()));
    std::erase_if(slots, [&](const std::unique_ptr<Slot>& slot) {
      if (!finished.contains(slot.get())) return false;
      results[slot->index()] = slot->take();
      return true;
    });
  }
  return results;
}

void Generator::check(std::span<const GenerateRequest> requests) const {
  std::set<const SequenceCache*> caches;
  for (size_t i = 0; i < requests.size(); ++i) {
    const GenerateRequest& request = requests[i];
    check_generate_options(request.options);
    const auto length = static_cast<int64_t>(request.prompt.size());
    LMOE_CHECK_ARG(length > 0, "[generate] the prompt of request ", i,
                   " has no tokens: given an empty text, expected at least one token");
    LMOE_CHECK_ARG(length <= model_.max_positions(), "[generate] the prompt of request ", i,
                   " is too long: given ", length, " tokens, expected at most ",
                   model_.max_positions(), " (the model's positions)");
    check_passages(request.passages, concat("[generate] request ", i, ":"));
    LMOE_CHECK_ARG(request.passages.empty() || request.passages.back().end <= length,
                   "[generate] a passage of request ", i, " ends behind its prompt: given token ",
                   request.passages.back().end, " of ", length);
    for (const text::TokenId id : request.prompt)
      LMOE_CHECK_ARG(id >= 0 && id < model_.vocab_size(), "[generate] the prompt of request ", i,
                     " has an id outside the vocabulary: given ", id, ", expected 0 to ",
                     model_.vocab_size() - 1);
    for (const text::TokenId id : request.options.eos_token_id)
      LMOE_CHECK_ARG(id >= 0 && id < model_.vocab_size(),
                     "[generate] eos_token_id is outside the vocabulary: given ", id,
                     ", expected 0 to ", model_.vocab_size() - 1);
    LMOE_CHECK_ARG(request.cache == nullptr || caches.insert(request.cache).second,
                   "[generate] request ", i, " shares its sequence with another of the batch");
  }
}

}  // namespace lmoe::generate
