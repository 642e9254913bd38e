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

/// Document and place of each labelled token.
std::vector<std::pair<size_t, int64_t>> labelled_tokens(std::span<const Document> documents) {
  std::vector<std::pair<size_t, int64_t>> all;
  for (size_t n = 0; n < documents.size(); ++n)
    for (size_t t = 1; t < documents[n].labels.size(); ++t)
      if (documents[n].labels[t] >= 0) all.emplace_back(n, static_cast<int64_t>(t));
  return all;
}

/// What the model ends with, [T, H].
at::Tensor hidden_of(const models::Decoder& decoder, const Document& document) {
  nn::ForwardContext context;
  const auto first_label = std::find_if(document.labels.begin(), document.labels.end(),
                                        [](int32_t label) { return label >= 0; });
  context.segments = {{.start = 0,
                       .length = std::ssize(document.ids),
                       .prompt = first_label - document.labels.begin()}};
  const at::Tensor hidden =
      decoder.forward(at::tensor(document.ids, at::kInt).to(at::kLong), context);
  return hidden.to(nn::accumulate_dtype(hidden.scalar_type()));
}

}  // namespace

nn::References collect_references(const models::Decoder& decoder,
                                  std::span<const Document> documents,
                                  int64_t most) {
  const c10::NoGradGuard no_grad;
  const auto all = labelled_tokens(documents);
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
  for (const auto& [n, rows] : places)
    keys.push_back(hidden_of(decoder, documents[n]).index_select(0, at::tensor(rows, at::kLong)));
  return {at::cat(keys), at::tensor(tokens, at::kFloat)};
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
