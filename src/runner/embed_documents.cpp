#include "runner/embed_documents.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "base/error.h"
#include "runner/packs.h"

namespace lmoe::runner {
namespace {

/// [D, H]
at::Tensor embed_pack(const models::Decoder& decoder,
                      std::span<const std::vector<int32_t>> documents) {
  nn::ForwardContext context;
  std::vector<int64_t> ids;
  for (const std::vector<int32_t>& document : documents) {
    LMOE_CHECK_ARG(!document.empty(), "[embed] a document has no tokens");
    context.segments.push_back({.start = std::ssize(ids), .length = std::ssize(document)});
    ids.insert(ids.end(), document.begin(), document.end());
  }
  const at::Tensor hidden = decoder.forward(at::tensor(ids, at::kLong), context);
  std::vector<at::Tensor> means;
  for (const nn::Segment& segment : context.segments)
    means.push_back(
        hidden.narrow(/*dim=*/0, segment.start, segment.length).to(at::kFloat).mean(/*dim=*/0));
  return at::stack(means);
}

}  // namespace

at::Tensor embed_documents(const models::Decoder& decoder,
                           std::span<const std::vector<int32_t>> documents,
                           const std::function<void(int64_t, int64_t)>& progress) {
  const c10::NoGradGuard no_grad;
  const auto positions = static_cast<size_t>(decoder.config().max_position_embeddings);
  std::vector<std::vector<int32_t>> beginnings(documents.begin(), documents.end());
  for (std::vector<int32_t>& document : beginnings)
    document.resize(std::min(document.size(), positions));
  std::vector<at::Tensor> parts;
  for (const Pack& pack : make_packs(beginnings)) {
    parts.push_back(
        embed_pack(decoder, std::span(beginnings).subspan(pack.first, pack.last - pack.first)));
    if (!at::isfinite(parts.back()).all().item<bool>())
      fail(ErrorCode::kDiverged, "[embed] hidden states hold NaN or infinity in one of documents ",
           pack.first + 1, " to ", pack.last);
    if (progress) progress(static_cast<int64_t>(pack.last), std::ssize(documents));
  }
  return parts.empty() ? at::empty({0, decoder.config().hidden_size}) : at::cat(parts);
}

}  // namespace lmoe::runner
