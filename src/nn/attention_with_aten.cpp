#include <ATen/ATen.h>

#include <limits>

#include "nn/dispatch.h"
#include "nn/with_aten.h"

namespace lmoe::nn::with_aten {
namespace {

/// bool [L, L], true where a query (row) does not see a key.
at::Tensor unseen(int64_t length, int64_t sliding_window, at::Device device) {
  const at::Tensor position = at::arange(length, at::TensorOptions(at::kLong).device(device));
  const at::Tensor query = position.unsqueeze(/*dim=*/1), key = position.unsqueeze(/*dim=*/0);
  const at::Tensor later = key.gt(query);
  return sliding_window > 0 ? later.logical_or(key.le(query - sliding_window)) : later;
}

/// One document: q [L, num_heads x head_dim], k and v [L, num_kv_heads x head_dim], in the type
/// computed in.
at::Tensor attention_of_document(const at::Tensor& q,
                                 const at::Tensor& k,
                                 const at::Tensor& v,
                                 const AttentionShape& shape) {
  const int64_t length = q.size(0), group = shape.num_heads / shape.num_kv_heads;
  const auto by_head = [&](const at::Tensor& rows, int64_t in_group) {  // [kv, group, L, D]
    return rows.reshape({length, shape.num_kv_heads, in_group, shape.head_dim})
        .permute({1, 2, 0, 3});
  };
  at::Tensor scores =
      at::matmul(by_head(q, group), by_head(k, 1).transpose(/*dim0=*/2, /*dim1=*/3)) * shape.scale;
  if (shape.softcap > 0) scores = shape.softcap * at::tanh(scores / shape.softcap);
  scores = scores.masked_fill(unseen(length, shape.sliding_window, q.device()),
                              -std::numeric_limits<double>::infinity());
  return at::matmul(at::softmax(scores, /*dim=*/-1), by_head(v, 1))
      .permute({2, 0, 1, 3})
      .reshape({length, shape.num_heads * shape.head_dim});
}

}  // namespace

at::Tensor attention(const at::Tensor& q,
                     const at::Tensor& k,
                     const at::Tensor& v,
                     const AttentionShape& shape,
                     const std::vector<Segment>& segments) {
  const at::ScalarType computed_in = accumulate_dtype(q.scalar_type());
  std::vector<at::Tensor> documents;
  for (const Segment& segment : segments) {
    const auto own = [&](const at::Tensor& rows) {
      return rows.narrow(/*dim=*/0, segment.start, segment.length).to(computed_in);
    };
    documents.push_back(attention_of_document(own(q), own(k), own(v), shape));
  }
  return at::cat(documents).to(q.scalar_type());
}

}  // namespace lmoe::nn::with_aten
