#include "kernels/rows.h"
#include "kernels/softmax.h"
#include "nn/attention_blocks.h"

namespace lmoe::nn {

namespace {

/// Work for one thread: a segment of one head.
struct Item {
  size_t segment = 0;
  int64_t head = 0, length = 0;
};

template <class A>
struct Scratch {
  std::vector<A> p, ds, capped, q, k, out, dout, dq;
};

/// Gradients of one block of queries [first, last) of a head; dk and dv are added to.
template <class T>
void backward_block(const AttentionBackward<T>& work,
                    const Segment& segment,
                    const Item& item,
                    int64_t first,
                    Rows<const accumulate_t<T>> keys,
                    const TransposedHeads<accumulate_t<T>>& transposed_keys,
                    const TransposedHeads<accumulate_t<T>>& transposed_values,
                    Scratch<accumulate_t<T>>& scratch) {
  using A = accumulate_t<T>;
  const AttentionShape& shape = work.shape;
  const int64_t dim = shape.head_dim, width = shape.num_heads * dim;
  const int64_t last = std::min(segment.length, first + kQueryBlock), rows = last - first;
  const int64_t begin = first_visible(shape, segment, first, last - 1), count = last - begin;
  const int64_t at_queries = (segment.start + first) * width + item.head * dim;
  const int64_t at_keys = (segment.start + begin) * width + item.head * dim;
  const int64_t kv_head = item.head / (shape.num_heads / shape.num_kv_heads);
  const auto q = as_compute_type<T, A>(work.q + at_queries, rows, width, dim, scratch.q);
  const auto dout = as_compute_type<T, A>(work.dout + at_queries, rows, width, dim, scratch.dout);
  const auto out = as_compute_type<T, A>(work.out + at_queries, rows, width, dim, scratch.out);
  const A scale = static_cast<A>(shape.scale), softcap = static_cast<A>(shape.softcap);
  const int64_t steps = whole_steps(count);
  const Rows<A> p{sized(scratch.p, rows * steps), steps},
      ds{sized(scratch.ds, rows * steps), steps};
  kernels::widen<A>({rows, dim, steps}, /*is_first=*/true, scale, q,
                    transposed_keys.head(item.segment, kv_head, begin), p);
  kernels::widen<A>({rows, dim, steps}, /*is_first=*/true, A(1), dout,
                    transposed_values.head(item.segment, kv_head, begin), ds);
  if (softcap > 0) kernels::softcap_row(p.data, rows * steps, softcap);
  for (int64_t row = 0; row < rows; ++row) {
    A* row_p = p.data + row * steps;
    A* row_ds = ds.data + row * steps;
    // The slope of soft-capping needs the capped scores, which the softmax overwrites.
    if (softcap > 0) scratch.capped.assign(row_p, row_p + steps);
    const int64_t position = first + row;
    hide_keys(segment, position, begin, row_p);
    kernels::softmax_row_again(
        row_p, first_visible(shape, segment, position) - begin, position + 1 - begin, steps,
        work.log_sum_exp[(segment.start + position) * shape.num_heads + item.head]);
    const A dot = kernels::dot_row(dout.data + row * dout.stride, out.data + row * out.stride, dim);
    kernels::softmax_backward_row(row_p, row_ds, steps, dot);
    if (softcap > 0) kernels::softcap_backward_row(scratch.capped.data(), row_ds, steps, softcap);
  }
  kernels::add_outer<A>({rows, count, dim}, A(1), {p.data, steps}, dout,
                        {work.dv + at_keys, width});
  kernels::add_outer<A>({rows, count, dim}, scale, {ds.data, steps}, q, {work.dk + at_keys, width});
  const auto to_queries = [&](Rows<A> dq) {
    kernels::widen<A>({rows, count, dim}, /*is_first=*/true, scale, {ds.data, steps},
                      keys.from(begin, 0), dq);
  };
  if constexpr (std::is_same_v<T, A>) {
    to_queries({work.dq + at_queries, width});
  } else {
    to_queries({sized(scratch.dq, rows * dim), dim});
    store_rows(scratch.dq, rows, dim, work.dq + at_queries, width);
  }
}

}  // namespace

template <class T>
void attention_backward(const AttentionBackward<T>& work) {
  using A = accumulate_t<T>;
  const AttentionShape& shape = work.shape;
  const int64_t dim = shape.head_dim, group = shape.num_heads / shape.num_kv_heads;
  const int64_t width = shape.num_heads * dim, kv_width = shape.num_kv_heads * dim;
  const auto transpose = [&](const T* from) {
    std::vector<const T*> rows;
    std::vector<int64_t> lengths;
    for (const Segment& segment : *work.segments) {
      rows.push_back(from + segment.start * kv_width);
      lengths.push_back(segment.length);
    }
    return TransposedHeads<A>(rows, lengths, shape.num_kv_heads, dim);
  };
  const TransposedHeads<A> transposed_keys = transpose(work.k),
                           transposed_values = transpose(work.v);
  std::vector<Item> items;
  for (size_t s = 0; s < work.segments->size(); ++s)
    for (int64_t head = 0; head < shape.num_heads; ++head)
      items.push_back({s, head, (*work.segments)[s].length});
  std::stable_sort(items.begin(), items.end(),
                   [](const Item& a, const Item& b) { return a.length > b.length; });
  run_items(
      items, [] { return Scratch<A>(); },
      [&](const Item& item, Scratch<A>& scratch) {
        const Segment& segment = (*work.segments)[item.segment];
        for (A* gradient : {work.dk, work.dv})
          for (int64_t token = segment.start; token < segment.start + segment.length; ++token)
            std::fill_n(gradient + token * width + item.head * dim, dim, A(0));
        const int64_t offset = segment.start * kv_width + item.head / group * dim;
        const auto keys =
            as_compute_type<T, A>(work.k + offset, segment.length, kv_width, dim, scratch.k);
        for (int64_t first = 0; first < segment.length; first += kQueryBlock)
          backward_block(work, segment, item, first, keys, transposed_keys, transposed_values,
                         scratch);
      });
}

template void attention_backward<float>(const AttentionBackward<float>&);
template void attention_backward<c10::BFloat16>(const AttentionBackward<c10::BFloat16>&);
template void attention_backward<double>(const AttentionBackward<double>&);

}  // namespace lmoe::nn
