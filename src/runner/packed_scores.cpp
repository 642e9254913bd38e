#include "runner/packed_scores.h"

#include <ATen/ATen.h>

#include "kernels/softmax.h"
#include "nn/dispatch.h"
#include "nn/stored_types.h"

namespace lmoe::runner {

namespace {

constexpr int64_t kRowsPerChunk = 256;

/// Rows that predict something, what they predict, and where the results go.
struct Targets {
  std::vector<int64_t> rows, labels;
  std::vector<float> logprobs;
  std::vector<uint8_t> is_greedy;
};

void score_chunk(const at::Tensor& logits, int64_t first, Targets& targets) {
  const at::Tensor best = at::argmax(logits, 1);
  const int64_t vocab = logits.size(1);
  nn::dispatch_dtype(logits, [&](auto tag) {
    using T = typename decltype(tag)::type;
    nn::parallel_rows(logits.size(0), vocab, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const auto i = static_cast<size_t>(first + row);
        const T* values = logits.const_data_ptr<T>() + row * vocab;
        targets.logprobs[i] = static_cast<float>(
            values[targets.labels[i]] - kernels::log_sum_exp_row(nn::stored(values), vocab));
        targets.is_greedy[i] = best.const_data_ptr<int64_t>()[row] == targets.labels[i];
      }
    });
  });
}

decode::ScoredParts parts_of(const decode::ScoredParts& parts, size_t first, size_t count) {
  const auto cut = [&](auto all) { return all.empty() ? all : all.subspan(first, count); };
  return {cut(parts.prompts), cut(parts.passages)};
}

Targets score_pack(const models::Decoder& decoder,
                   std::span<const std::vector<int32_t>> sequences,
                   const decode::ScoredParts& parts,
                   int disabled_expert,
                   const OutputReferences* references) {
  nn::ForwardContext context;
  context.disabled_expert = disabled_expert;
  std::vector<int64_t> ids;
  Targets targets;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const std::vector<int32_t>& sequence = sequences[i];
    const auto start = static_cast<int64_t>(ids.size());
    if (sequence.empty()) continue;
    ids.insert(ids.end(), sequence.begin(), sequence.end());
    context.segments.push_back({.start = start,
                                .length = static_cast<int64_t>(sequence.size()),
                                .prompt = parts.prompts.empty() ? 1 : parts.prompts[i]});
    if (!parts.passages.empty()) context.segments.back().passages = parts.passages[i];
    for (size_t t = 1; t < sequence.size(); ++t) {
      targets.rows.push_back(start + static_cast<int64_t>(t) - 1);
      targets.labels.push_back(sequence[t]);
    }
  }
  targets.logprobs.resize(targets.rows.size());
  targets.is_greedy.resize(targets.rows.size());
  if (targets.rows.empty()) return targets;
  const at::Tensor hidden = decoder.forward(at::tensor(ids, at::kLong), context);
  const at::Tensor used = hidden.index_select(0, at::tensor(targets.rows, at::kLong));
  for (int64_t first = 0; first < used.size(0); first += kRowsPerChunk) {
    const int64_t size = std::min(kRowsPerChunk, used.size(0) - first);
    score_chunk(next_token_logits(decoder, used.narrow(0, first, size), references), first,
                targets);
  }
  return targets;
}

}  // namespace

std::vector<decode::ScoredSequence> score_sequences(const models::Decoder& decoder,
                                                    std::span<const std::vector<int32_t>> sequences,
                                                    const decode::ScoredParts& parts,
                                                    int disabled_expert,
                                                    const OutputReferences* references) {
  std::vector<decode::ScoredSequence> results(sequences.size());
  for (const Pack& pack : make_packs(sequences, decoder.prompt_positions())) {
    const auto part = sequences.subspan(pack.first, pack.last - pack.first);
    const Targets targets = score_pack(decoder, part, parts_of(parts, pack.first, part.size()),
                                       disabled_expert, references);
    size_t next = 0;
    for (size_t i = pack.first; i < pack.last; ++i) {
      for (size_t t = 1; t < sequences[i].size(); ++t, ++next) {
        results[i].logprobs.push_back(targets.logprobs[next]);
        results[i].is_greedy.push_back(targets.is_greedy[next] != 0);
      }
    }
  }
  return results;
}

}  // namespace lmoe::runner
