#include "runner/torch_step_model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <map>
#include <set>

#include "base/error.h"
#include "models/document_rewards.h"
#include "nn/kv_cache.h"
#include "runner/packed_scores.h"
#include "runner/plan_forwards.h"
#include "runner/step_routing.h"

namespace lmoe::runner {

using decode::SequenceId;
using decode::StepInput;
using decode::StepOutput;

namespace {

nn::KvCache make_cache(const models::Decoder& decoder) {
  const arch::ModelConfig& config = decoder.config();
  return {config.num_hidden_layers, config.num_key_value_heads, config.head_dim, decoder.dtype()};
}

std::optional<decode::RouterInfo> router_info(const mixture::Mixture* mixture) {
  if (mixture == nullptr || mixture->sites().empty()) return std::nullopt;
  decode::RouterInfo info;
  info.expert_names = mixture->spec().expert_names();
  for (const mixture::SiteInfo& site : mixture->sites()) {
    info.sites.push_back(site.name);
    info.site_layers.push_back(site.layer);
  }
  return info;
}

bool needs_whole_prompts(const mixture::Mixture* mixture) {
  return mixture != nullptr && spec::decides_by_prompt(mixture->spec());
}

/// Of the model's positions, those left for tokens.
int64_t token_positions(const models::Decoder& decoder, const mixture::Mixture* mixture) {
  const int64_t prompts = mixture != nullptr ? mixture->spec().prompts.positions() : 0;
  return decoder.config().max_position_embeddings - prompts;
}

}  // namespace

struct TorchStepModel::State {
  const models::Decoder& decoder;
  std::optional<decode::RouterInfo> router;
  bool needs_whole_prompts = false;
  int64_t max_positions = 0;  ///< besides those of a mixture's prompts
  nn::KvCache cache;
  const nn::RewardHead* head = nullptr;
  int64_t default_task = 0;  ///< of documents without one
  int64_t prompt_entries = 0;
  std::map<SequenceId, int64_t> slots, prompts;
  std::map<SequenceId, Passages> passages;
  SequenceId next_sequence = 1;
  int disabled_expert = -1;
  std::shared_ptr<const OutputReferences> references;

  int64_t slot_of(SequenceId sequence) const {
    const auto found = slots.find(sequence);
    LMOE_CHECK_ARG(found != slots.end(), "[step] sequence ", sequence, " is not open");
    return found->second;
  }

  void check(std::span<const StepInput> inputs) const;
  /// What a sequence's first input says of it, or a later one says anew.
  void note_parts(const StepInput& input);
  /// Of a whole sequence.
  void check(const std::vector<int32_t>& ids, const char* operation) const;
  void forward(std::span<const StepInput> inputs,
               const std::vector<Piece>& pieces,
               bool want_routing,
               StepOutput& output);
};

void TorchStepModel::State::check(std::span<const StepInput> inputs) const {
  std::set<SequenceId> seen;
  const arch::ModelConfig& config = decoder.config();
  for (const StepInput& input : inputs) {
    const int64_t length = cache.length(slot_of(input.sequence));
    LMOE_CHECK_ARG(seen.insert(input.sequence).second, "[step] sequence ", input.sequence,
                   " is fed twice in one step");
    LMOE_CHECK_ARG(!input.ids.empty(), "[step] sequence ", input.sequence,
                   ": given no ids, expected at least one");
    const int64_t total = length + static_cast<int64_t>(input.ids.size());
    LMOE_CHECK_ARG(total <= max_positions, "[step] the context is full: given ", total,
                   " tokens, the model has ", max_positions, " positions");
    for (const int32_t id : input.ids)
      LMOE_CHECK_ARG(id >= 0 && id < config.vocab_size, "[step] token id ", id,
                     " is outside the vocabulary of ", config.vocab_size);
    check_passages(input.passages, "[step]");
    LMOE_CHECK_ARG(input.passages.empty() || length == 0 ||
                       passages_within(input.passages, 0, length) ==
                           passages_within(passages.at(input.sequence), 0, length),
                   "[step] sequence ", input.sequence, ": the passages of its first ", length,
                   " tokens cannot change once these are fed; hint: cut the sequence before them");
  }
}

void TorchStepModel::State::note_parts(const StepInput& input) {
  const int64_t past = cache.length(slot_of(input.sequence));
  if (input.prompt >= 0)
    prompts[input.sequence] = input.prompt;
  else if (past == 0)
    prompts[input.sequence] = std::ssize(input.ids);
  Passages& known = passages[input.sequence];
  if (!input.passages.empty())
    known.assign(input.passages.begin(), input.passages.end());
  else if (past == 0)
    known.clear();
}

void TorchStepModel::State::forward(std::span<const StepInput> inputs,
                                    const std::vector<Piece>& pieces,
                                    bool want_routing,
                                    StepOutput& output) {
  nn::ForwardContext context;
  nn::RouterLog log;
  context.kv_cache = &cache;
  context.disabled_expert = disabled_expert;
  if (want_routing) context.router_log = &log;
  std::vector<int64_t> ids, last_rows;
  std::vector<size_t> owners;
  for (const Piece& piece : pieces) {
    const StepInput& input = inputs[piece.input];
    const int64_t slot = slot_of(input.sequence);
    context.segments.push_back({.start = static_cast<int64_t>(ids.size()),
                                .length = static_cast<int64_t>(piece.count),
                                .past = cache.length(slot),
                                .slot = slot,
                                .prompt = prompts.at(input.sequence),
                                .passages = passages.at(input.sequence)});
    const auto part = input.ids.subspan(piece.first, piece.count);
    ids.insert(ids.end(), part.begin(), part.end());
    if (!piece.is_last) continue;
    last_rows.push_back(static_cast<int64_t>(ids.size()) - 1);
    owners.push_back(piece.input);
  }
  const at::Tensor hidden = decoder.forward(at::tensor(ids, at::kLong), context);
  if (want_routing && router) copy_routing(log, *router, pieces, output);
  if (want_routing && prompt_entries > 0) copy_prompts(log, pieces, context.segments, output);
  if (owners.empty()) return;
  const at::Tensor last = hidden.index_select(0, at::tensor(last_rows, at::kLong));
  const at::Tensor logits =
      next_token_logits(decoder, last, references.get()).to(at::kFloat).contiguous();
  const int64_t vocab = logits.size(1);
  for (size_t row = 0; row < owners.size(); ++row)
    std::copy_n(logits.const_data_ptr<float>() + static_cast<int64_t>(row) * vocab, vocab,
                output.logits.begin() + static_cast<int64_t>(owners[row]) * vocab);
}

void TorchStepModel::State::check(const std::vector<int32_t>& ids, const char* operation) const {
  const arch::ModelConfig& config = decoder.config();
  LMOE_CHECK_ARG(static_cast<int64_t>(ids.size()) <= max_positions, operation, " a sequence has ",
                 ids.size(), " tokens, the model has ", max_positions, " positions");
  for (const int32_t id : ids)
    LMOE_CHECK_ARG(id >= 0 && id < config.vocab_size, operation, " token id ", id,
                   " is outside the vocabulary of ", config.vocab_size);
}

TorchStepModel::TorchStepModel(const models::Decoder& decoder,
                               const mixture::Mixture* mixture,
                               const nn::RewardHead* head)
    : state_(new State{decoder, router_info(mixture), needs_whole_prompts(mixture),
                       token_positions(decoder, mixture), make_cache(decoder), head}) {
  if (mixture == nullptr) return;
  state_->default_task = mixture->spec().gate.default_task.value_or(state_->default_task);
  state_->prompt_entries = mixture->spec().prompts.count;
}

TorchStepModel::~TorchStepModel() = default;

int64_t TorchStepModel::vocab_size() const { return state_->decoder.config().vocab_size; }

int64_t TorchStepModel::max_positions() const { return state_->max_positions; }

SequenceId TorchStepModel::open_sequence() {
  const SequenceId id = state_->next_sequence++;
  state_->slots[id] = state_->cache.open_slot();
  return id;
}

void TorchStepModel::close_sequence(SequenceId sequence) {
  state_->cache.close_slot(state_->slot_of(sequence));
  state_->slots.erase(sequence);
  state_->prompts.erase(sequence);
  state_->passages.erase(sequence);
}

void TorchStepModel::truncate_sequence(SequenceId sequence, int64_t length) {
  state_->cache.truncate(state_->slot_of(sequence), length);
  Passages& passages = state_->passages[sequence];
  passages = passages_within(passages, 0, length);
}

StepOutput TorchStepModel::step(std::span<const StepInput> inputs, bool want_routing) {
  const c10::NoGradGuard no_grad;
  state_->check(inputs);
  StepOutput output;
  output.logits.resize(inputs.size() * static_cast<size_t>(vocab_size()));
  const bool has_log = want_routing && (state_->router || state_->prompt_entries > 0);
  if (want_routing && state_->router) output.routing.resize(inputs.size());
  if (want_routing && state_->prompt_entries > 0) output.prompts.resize(inputs.size());
  for (const StepInput& input : inputs) state_->note_parts(input);
  for (const std::vector<Piece>& pieces :
       plan_forwards(inputs, state_->needs_whole_prompts, state_->decoder.prompt_positions()))
    state_->forward(inputs, pieces, has_log, output);
  return output;
}

std::vector<decode::ScoredSequence> TorchStepModel::score(
    std::span<const std::vector<int32_t>> sequences, const decode::ScoredParts& parts) {
  const c10::NoGradGuard no_grad;
  for (const size_t given : {parts.prompts.size(), parts.passages.size()})
    LMOE_CHECK_ARG(given == 0 || given == sequences.size(), "[score] given the parts of ", given,
                   " sequences, expected ", sequences.size(), " or none");
  for (const std::vector<int32_t>& sequence : sequences) state_->check(sequence, "[score]");
  return score_sequences(state_->decoder, sequences, parts, state_->disabled_expert,
                         state_->references.get());
}

bool TorchStepModel::decides_by_prompt() const { return state_->needs_whole_prompts; }

int64_t TorchStepModel::prompt_entries() const { return state_->prompt_entries; }

std::optional<std::vector<double>> TorchStepModel::rewards(
    std::span<const decode::RewardRequest> documents) {
  if (state_->head == nullptr) return std::nullopt;
  const c10::NoGradGuard no_grad;
  std::vector<double> rewards;
  while (rewards.size() < documents.size()) {
    nn::ForwardContext context;
    context.disabled_expert = state_->disabled_expert;
    std::vector<int64_t> ids;
    for (const decode::RewardRequest& document : documents.subspan(rewards.size())) {
      state_->check(document.ids, "[reward]");
      LMOE_CHECK_ARG(!document.ids.empty(), "[reward] a document has no tokens");
      const auto length = static_cast<int64_t>(document.ids.size());
      const auto start = static_cast<int64_t>(ids.size());
      if (start > 0 && start + length > kTokensPerForward) break;
      context.segments.push_back(
          {.start = start, .length = length, .task = document.task, .passages = document.passages});
      ids.insert(ids.end(), document.ids.begin(), document.ids.end());
    }
    const at::Tensor values =
        models::document_rewards(state_->decoder, *state_->head, at::tensor(ids, at::kLong),
                                 context, state_->default_task)
            .to(at::kDouble)
            .contiguous();
    const double* first = values.const_data_ptr<double>();
    rewards.insert(rewards.end(), first, first + values.numel());
  }
  return rewards;
}

const decode::RouterInfo* TorchStepModel::router() const {
  return state_->router ? &*state_->router : nullptr;
}

void TorchStepModel::disable_expert(std::optional<int> expert) {
  const int64_t count =
      state_->router ? static_cast<int64_t>(state_->router->expert_names.size()) : 0;
  LMOE_CHECK_ARG(!expert || (*expert >= 0 && *expert < count), "[disable_expert] given expert ",
                 expert.value_or(0), ", the model has ", count);
  state_->disabled_expert = expert.value_or(-1);
}

void TorchStepModel::ask_references(std::shared_ptr<const OutputReferences> references) {
  if (references) check_references(*references);  // what does not fit is refused now
  state_->references = std::move(references);
}

}  // namespace lmoe::runner
