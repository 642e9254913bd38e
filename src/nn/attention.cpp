#include "nn/attention.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/attention_kernel.h"
#include "nn/dispatch.h"
#include "nn/kv_cache.h"
#include "nn/part_times.h"
#include "nn/with_aten.h"

namespace lmoe::nn {

namespace {

/// Writes the new rows of every segment behind its slot's past.
void append(const at::Tensor& k,
            const at::Tensor& v,
            const PastRows& past,
            const std::vector<Segment>& segments) {
  const int64_t heads = past.keys.size(2), dim = past.keys.size(3), width = heads * dim;
  dispatch_dtype(k, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (const Segment& segment : segments) {
      const int64_t place = (segment.slot * past.keys.size(1) + segment.past) * width;
      const int64_t first = segment.start * width, count = segment.length * width;
      std::copy_n(k.const_data_ptr<T>() + first, count, past.keys.data_ptr<T>() + place);
      std::copy_n(v.const_data_ptr<T>() + first, count, past.values.data_ptr<T>() + place);
    }
  });
}

/// `cache` is null for plain packed documents; `log_sum_exp` is written.
at::Tensor run_forward(const at::Tensor& q,
                       const at::Tensor& k,
                       const at::Tensor& v,
                       const AttentionShape& shape,
                       const std::vector<Segment>& segments,
                       const at::Tensor& log_sum_exp) {
  at::Tensor out = at::empty_like(q);
  const int64_t width = shape.num_kv_heads * shape.head_dim;
  const bool cached = k.dim() == 4;
  dispatch_dtype(q, [&](auto tag) {
    using T = typename decltype(tag)::type;
    AttentionForward<T> work;
    work.shape = shape;
    work.segments = &segments;
    for (const Segment& segment : segments) {
      const int64_t row = cached ? segment.slot * k.size(1) : segment.start;
      work.keys.push_back(
          {k.const_data_ptr<T>() + row * width, v.const_data_ptr<T>() + row * width});
    }
    work.q = q.const_data_ptr<T>();
    work.out = out.data_ptr<T>();
    work.log_sum_exp = log_sum_exp.data_ptr<accumulate_t<T>>();
    attention_forward(work);
  });
  return out;
}

at::Tensor empty_log_sum_exp(const at::Tensor& q, const AttentionShape& shape) {
  return at::empty({q.size(0), shape.num_heads},
                   q.options().dtype(accumulate_dtype(q.scalar_type())));
}

using SavedData = decltype(torch::autograd::AutogradContext::saved_data);

/// Lengths of documents, and of each passage its document, begin, end and number.
void save_segments(const std::vector<Segment>& segments, SavedData& saved) {
  std::vector<int64_t> lengths, passages;
  for (const Segment& segment : segments) {
    for (const Passage& passage : segment.passages)
      passages.insert(passages.end(),
                      {std::ssize(lengths), passage.begin, passage.end, passage.number});
    lengths.push_back(segment.length);
  }
  saved["lengths"] = lengths;
  saved["passages"] = passages;
}

std::vector<Segment> saved_segments(SavedData& saved) {
  std::vector<Segment> segments;
  int64_t start = 0;
  for (int64_t length : saved["lengths"].toIntVector()) {
    segments.push_back({start, length});
    start += length;
  }
  const std::vector<int64_t> passages = saved["passages"].toIntVector();
  for (size_t i = 0; i < passages.size(); i += 4)
    segments[static_cast<size_t>(passages[i])].passages.push_back(
        {passages[i + 1], passages[i + 2], passages[i + 3]});
  return segments;
}

class AttentionFunction : public torch::autograd::Function<AttentionFunction> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& q,
                            const at::Tensor& k,
                            const at::Tensor& v,
                            const AttentionShape& shape,
                            const std::vector<Segment>& segments) {
    const PartScope scope(Part::kAttention, Direction::kForward);
    const at::Tensor log_sum_exp = empty_log_sum_exp(q, shape);
    at::Tensor out = run_forward(q, k, v, shape, segments, log_sum_exp);
    context->save_for_backward({q, k, v, out, log_sum_exp});
    auto& saved = context->saved_data;
    saved["shape"] = std::vector<int64_t>{shape.num_heads, shape.num_kv_heads, shape.head_dim,
                                          shape.sliding_window};
    saved["scale"] = shape.scale;
    saved["softcap"] = shape.softcap;
    save_segments(segments, saved);
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const PartScope scope(Part::kAttention, Direction::kBackward);
    const auto saved = context->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2], &out = saved[3];
    const std::vector<int64_t> sizes = context->saved_data["shape"].toIntVector();
    const AttentionShape shape{sizes[0], sizes[1],
                               sizes[2], context->saved_data["scale"].toDouble(),
                               sizes[3], context->saved_data["softcap"].toDouble()};
    const std::vector<Segment> segments = saved_segments(context->saved_data);
    const at::Tensor dout = grads[0].contiguous();
    at::Tensor dq = at::empty_like(q);
    const auto wide = q.options().dtype(accumulate_dtype(q.scalar_type()));
    at::Tensor dk = at::empty(q.sizes(), wide), dv = at::empty(q.sizes(), wide);
    dispatch_dtype(q, [&](auto tag) {
      using T = typename decltype(tag)::type;
      using A = accumulate_t<T>;
      attention_backward<T>({shape, &segments, q.const_data_ptr<T>(), k.const_data_ptr<T>(),
                             v.const_data_ptr<T>(), out.const_data_ptr<T>(),
                             dout.const_data_ptr<T>(), saved[4].const_data_ptr<A>(),
                             dq.data_ptr<T>(), dk.data_ptr<A>(), dv.data_ptr<A>()});
    });
    return {dq, sum_over_group(dk, k, shape), sum_over_group(dv, v, shape), at::Tensor(),
            at::Tensor()};
  }

 private:
  static at::Tensor sum_over_group(const at::Tensor& per_head,
                                   const at::Tensor& like,
                                   const AttentionShape& shape) {
    return per_head
        .view({like.size(0), shape.num_kv_heads, shape.num_heads / shape.num_kv_heads,
               shape.head_dim})
        .sum(2)
        .view(like.sizes())
        .to(like.scalar_type());
  }
};

}  // namespace

at::Tensor attention(const at::Tensor& q,
                     const at::Tensor& k,
                     const at::Tensor& v,
                     const AttentionShape& shape,
                     int64_t layer,
                     ForwardContext& context) {
  if (context.kv_cache == nullptr && !q.device().is_cpu()) {
    for (const Segment& segment : context.segments)
      if (!segment.passages.empty())
        fail(ErrorCode::kUnsupported,
             "[attention] passages are kept apart on the CPU alone: given ", q.device(),
             "; hint: records without passages");
    return with_aten::attention(q, k, v, shape, context.segments);
  }
  if (context.kv_cache == nullptr)
    return AttentionFunction::apply(q.contiguous(), k.contiguous(), v.contiguous(), shape,
                                    context.segments);
  return attention_with_past(q, k, v, shape,
                             {context.kv_cache->keys(layer, context.is_first_pass),
                              context.kv_cache->values(layer, context.is_first_pass)},
                             context.segments);
}

at::Tensor attention_with_past(const at::Tensor& q,
                               const at::Tensor& k,
                               const at::Tensor& v,
                               const AttentionShape& shape,
                               const PastRows& past,
                               const std::vector<Segment>& segments) {
  LMOE_CHECK_ARG(!c10::GradMode::is_enabled() || !(q.requires_grad() || k.requires_grad()),
                 "[attention] a forward with a KV cache has no gradient; disable gradients or use "
                 "no cache");
  if (!q.device().is_cpu())
    fail(ErrorCode::kUnsupported,
         "[attention] keys and values are kept in CPU memory alone: given ", q.device(),
         "; hint: forward whole documents, without a KV cache");
  append(k.contiguous(), v.contiguous(), past, segments);
  return run_forward(q.contiguous(), past.keys, past.values, shape, segments,
                     empty_log_sum_exp(q, shape));
}

}  // namespace lmoe::nn
