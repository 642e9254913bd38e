#include "runner/output_references.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "nn/dispatch.h"

namespace lmoe::runner {
namespace {

/// Document and place of each labelled token among the first `positions`.
std::vector<std::pair<size_t, int64_t>> labelled_tokens(std::span<const Document> documents,
                                                        size_t positions) {
  std::vector<std::pair<size_t, int64_t>> all;
  for (size_t n = 0; n < documents.size(); ++n)
    for (size_t t = 1; t < std::min(documents[n].labels.size(), positions); ++t)
      if (documents[n].labels[t] >= 0) all.emplace_back(n, static_cast<int64_t>(t));
  return all;
}

/// What the model ends with, [min(T, positions), H].
at::Tensor hidden_of(const models::Decoder& decoder, const Document& document, int64_t positions) {
  nn::ForwardContext context;
  const auto first_label = std::find_if(document.labels.begin(), document.labels.end(),
                                        [](int32_t label) { return label >= 0; });
  const int64_t length = std::min(std::ssize(document.ids), positions);
  context.segments = {{.start = 0,
                       .length = length,
                       .prompt = std::min(first_label - document.labels.begin(), length),
                       .passages = passages_within(document.passages, 0, length)}};
  const at::Tensor ids = at::tensor(document.ids, at::kInt).to(at::kLong);
  const at::Tensor hidden = decoder.forward(ids.narrow(/*dim=*/0, 0, length), context);
  return hidden.to(nn::accumulate_dtype(hidden.scalar_type()));
}

}  // namespace

nn::References collect_references(const models::Decoder& decoder,
                                  std::span<const Document> documents,
                                  int64_t most,
                                  const std::function<void(int64_t, int64_t)>& progress) {
  const c10::NoGradGuard no_grad;
  const int64_t positions = decoder.config().max_position_embeddings;
  const auto all = labelled_tokens(documents, static_cast<size_t>(positions));
  LMOE_CHECK_ARG(!all.empty(), "[references] the documents have no token to predict");
  const int64_t total = std::ssize(all), count = std::min(total, most);
  std::map<size_t, std::vector<int64_t>> places;  // by document
  std::vector<double> tokens;
  for (int64_t i = 0; i < count; ++i) {
    const auto& [n, t] = all[static_cast<size_t>((2 * i + 1) * total / (2 * count))];
    places[n].push_back(t - 1);
    tokens.push_back(documents[n].labels[static_cast<size_t>(t)]);
  }
  std::vector<at::Tensor> keys;
  for (const auto& [n, rows] : places) {
    keys.push_back(hidden_of(decoder, documents[n], positions)
                       .index_select(/*dim=*/0, at::tensor(rows, at::kLong)));
    if (progress) progress(std::ssize(keys), std::ssize(places));
  }
  return {at::cat(keys), at::tensor(tokens, at::kFloat)};
}

void check_references(const OutputReferences& references) {
  const at::Tensor& keys = references.references.keys;
  LMOE_CHECK_ARG(references.weight >= 0.0 && references.weight < 1.0, "[references] given weight ",
                 references.weight,
                 ", expected at least 0 and less than 1: tokens that no reference has would be "
                 "impossible");
  const c10::NoGradGuard no_grad;
  nn::nearest_references(keys.narrow(/*dim=*/0, 0, 1), keys, references.retrieval);
}

at::Tensor next_token_logits(const models::Decoder& decoder,
                             const at::Tensor& hidden,
                             const OutputReferences* references) {
  at::Tensor logits = decoder.logits(hidden);
  if (references == nullptr || references->weight == 0.0) return logits;
  const auto& [keys, tokens] = references->references;
  const nn::Neighbours found =
      nn::nearest_references(hidden.to(keys.scalar_type()), keys, references->retrieval);
  const at::Tensor r = nn::value_distribution(found, tokens, logits.size(1)).to(logits.dtype());
  return at::logaddexp(at::log_softmax(logits, /*dim=*/-1) + std::log1p(-references->weight),
                       r.log() + std::log(references->weight));
}

}  // namespace lmoe::runner
