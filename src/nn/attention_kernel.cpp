#include "nn/attention_kernel.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>

#include "kernels/rows.h"
#include "kernels/softmax.h"
#include "nn/gemm.h"

namespace lmoe::nn {

namespace {

constexpr int64_t kQueryBlock = 64;

/// Work for one thread: queries [first, last) of a segment, of one head or of one group of heads.
struct Item {
  size_t segment = 0;
  int64_t head = 0;
  int64_t first = 0, last = 0;
};

/// Threads take items one by one, so unequal documents do not leave a thread idle. Each item writes
/// its own rows, so results do not depend on who took it.
template <class MakeScratch, class Body>
void run_items(const std::vector<Item>& items, const MakeScratch& make_scratch, const Body& body) {
  std::atomic<size_t> next{0};
  const auto threads = std::min<int64_t>(at::get_num_threads(), static_cast<int64_t>(items.size()));
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    auto scratch = make_scratch();
    for (size_t i = next++; i < items.size(); i = next++) body(items[i], scratch);
  });
}

/// Buffers of one thread; they only grow.
template <class A>
struct Scratch {
  std::vector<A> scores, dscores, q, k, v, out, dout, dq;
};

/// Rows [first, first + rows) of `data` as type A: in place when they are stored so, else converted
/// into `buffer`.
template <class T, class A>
Rows<const A> as_compute_type(
    const T* data, int64_t rows, int64_t stride, int64_t width, std::vector<A>& buffer) {
  if constexpr (std::is_same_v<T, A>) {
    return {data, stride};
  } else {
    buffer.resize(static_cast<size_t>(std::max<int64_t>(rows * width, 1)));
    for (int64_t row = 0; row < rows; ++row)
      kernels::load_row(stored(data) + row * stride, width, buffer.data() + row * width);
    return {buffer.data(), width};
  }
}

template <class T, class A>
void store_rows(const std::vector<A>& buffer, int64_t rows, int64_t width, T* out, int64_t stride) {
  for (int64_t row = 0; row < rows; ++row)
    kernels::store_row(buffer.data() + row * width, width, stored(out) + row * stride);
}

template <class A>
A* sized(std::vector<A>& buffer, int64_t count) {
  if (static_cast<int64_t>(buffer.size()) < count) buffer.resize(static_cast<size_t>(count));
  return buffer.data();
}

/// Keys that the query at position `position` sees, as absolute positions [begin, position].
int64_t first_visible(const AttentionShape& shape, int64_t position) {
  return shape.sliding_window > 0 ? std::max<int64_t>(0, position - shape.sliding_window + 1) : 0;
}

/// A block of queries of one head, or, for a single token, of all heads of a group (which then
/// share a position).
template <class T>
struct QueryBlock {
  const T* q = nullptr;
  T* out = nullptr;
  accumulate_t<T>* log_sum_exp = nullptr;
  int64_t rows = 0, stride = 0, log_stride = 0;
  int64_t position = 0, position_step = 1;
};

template <class T>
void attend(const AttentionShape& shape,
            const QueryBlock<T>& block,
            Rows<const accumulate_t<T>> keys,
            Rows<const accumulate_t<T>> values,
            int64_t keys_begin,
            Scratch<accumulate_t<T>>& scratch) {
  using A = accumulate_t<T>;
  const int64_t dim = shape.head_dim;
  const int64_t count = block.position + (block.rows - 1) * block.position_step + 1 - keys_begin;
  const auto q = as_compute_type<T, A>(block.q, block.rows, block.stride, dim, scratch.q);
  A* scores = sized(scratch.scores, block.rows * count);
  gemm<A>(false, true, block.rows, count, dim, static_cast<A>(shape.scale), q, keys, A(0),
          {scores, count});
  if (shape.softcap > 0)
    kernels::softcap_row(scores, block.rows * count, static_cast<A>(shape.softcap));
  for (int64_t row = 0; row < block.rows; ++row) {
    const int64_t position = block.position + row * block.position_step;
    block.log_sum_exp[row * block.log_stride] =
        kernels::softmax_row(scores + row * count, first_visible(shape, position) - keys_begin,
                             position + 1 - keys_begin, count);
  }
  if constexpr (std::is_same_v<T, A>) {
    gemm<A>(false, false, block.rows, dim, count, A(1), {scores, count}, values, A(0),
            {block.out, block.stride});
  } else {
    A* out = sized(scratch.out, block.rows * dim);
    gemm<A>(false, false, block.rows, dim, count, A(1), {scores, count}, values, A(0), {out, dim});
    store_rows(scratch.out, block.rows, dim, block.out, block.stride);
  }
}

/// Blocks of queries, the longest rows of keys first.
std::vector<Item> forward_items(const std::vector<Segment>& segments, int64_t kv_heads) {
  std::vector<Item> items;
  for (size_t s = 0; s < segments.size(); ++s) {
    const int64_t length = segments[s].length;
    for (int64_t block = (length - 1) / kQueryBlock; length > 0 && block >= 0; --block)
      for (int64_t head = 0; head < kv_heads; ++head)
        items.push_back(
            {s, head, block * kQueryBlock, std::min(length, (block + 1) * kQueryBlock)});
  }
  return items;
}

}  // namespace

template <class T>
void attention_forward(const AttentionForward<T>& work) {
  using A = accumulate_t<T>;
  const AttentionShape& shape = work.shape;
  const int64_t dim = shape.head_dim, group = shape.num_heads / shape.num_kv_heads;
  const int64_t width = shape.num_heads * dim, kv_width = shape.num_kv_heads * dim;
  const auto body = [&](const Item& item, Scratch<A>& scratch) {
    const Segment& segment = (*work.segments)[item.segment];
    const int64_t position = segment.past + item.first;
    const int64_t begin = first_visible(shape, position);
    const int64_t count = segment.past + item.last - begin;
    const int64_t offset = begin * kv_width + item.head * dim;
    const auto keys = as_compute_type<T, A>(work.keys[item.segment].keys + offset, count, kv_width,
                                            dim, scratch.k);
    const auto values = as_compute_type<T, A>(work.keys[item.segment].values + offset, count,
                                              kv_width, dim, scratch.v);
    const int64_t token = segment.start + item.first, first_head = item.head * group;
    QueryBlock<T> block{work.q + token * width + first_head * dim,
                        work.out + token * width + first_head * dim,
                        work.log_sum_exp + token * shape.num_heads + first_head,
                        group,
                        dim,
                        1,
                        position,
                        0};
    if (item.last - item.first == 1) return attend(shape, block, keys, values, begin, scratch);
    block.rows = item.last - item.first;
    block.stride = width;
    block.log_stride = shape.num_heads;
    block.position_step = 1;
    for (int64_t head = 0; head < group; ++head) {
      attend(shape, block, keys, values, begin, scratch);
      block.q += dim;
      block.out += dim;
      block.log_sum_exp += 1;
    }
  };
  run_items(
      forward_items(*work.segments, shape.num_kv_heads), [] { return Scratch<A>(); }, body);
}

namespace {

/// Gradients of one block of queries [first, last) of a head; dk and dv are added to.
template <class T>
void backward_block(const AttentionBackward<T>& work,
                    const Segment& segment,
                    const Item& item,
                    int64_t first,
                    Rows<const accumulate_t<T>> keys,
                    Rows<const accumulate_t<T>> values,
                    Scratch<accumulate_t<T>>& scratch) {
  using A = accumulate_t<T>;
  const AttentionShape& shape = work.shape;
  const int64_t dim = shape.head_dim, width = shape.num_heads * dim;
  const int64_t last = std::min(segment.length, first + kQueryBlock), rows = last - first;
  const int64_t begin = first_visible(shape, first), count = last - begin;
  const int64_t at_queries = (segment.start + first) * width + item.head * dim;
  const int64_t at_keys = (segment.start + begin) * width + item.head * dim;
  keys.data += begin * keys.stride;
  values.data += begin * values.stride;

  const auto q = as_compute_type<T, A>(work.q + at_queries, rows, width, dim, scratch.q);
  const auto dout = as_compute_type<T, A>(work.dout + at_queries, rows, width, dim, scratch.dout);
  const auto out = as_compute_type<T, A>(work.out + at_queries, rows, width, dim, scratch.out);
  const A scale = static_cast<A>(shape.scale), softcap = static_cast<A>(shape.softcap);
  A* p = sized(scratch.scores, rows * count);
  A* ds = sized(scratch.dscores, rows * count);
  gemm<A>(false, true, rows, count, dim, scale, q, keys, A(0), {p, count});
  gemm<A>(false, true, rows, count, dim, A(1), dout, values, A(0), {ds, count});
  if (softcap > 0) kernels::softcap_row(p, rows * count, softcap);
  for (int64_t row = 0; row < rows; ++row) {
    A* row_p = p + row * count;
    A* row_ds = ds + row * count;
    // The slope of soft-capping needs the capped scores, which the softmax overwrites.
    if (softcap > 0) scratch.dq.assign(row_p, row_p + count);
    const int64_t position = first + row;
    kernels::softmax_row_again(
        row_p, first_visible(shape, position) - begin, position + 1 - begin, count,
        work.log_sum_exp[(segment.start + position) * shape.num_heads + item.head]);
    const A dot = kernels::dot_row(dout.data + row * dout.stride, out.data + row * out.stride, dim);
    kernels::softmax_backward_row(row_p, row_ds, count, dot);
    if (softcap > 0) kernels::softcap_backward_row(scratch.dq.data(), row_ds, count, softcap);
  }
  gemm<A>(true, false, count, dim, rows, A(1), {p, count}, dout, A(1), {work.dv + at_keys, width});
  gemm<A>(true, false, count, dim, rows, scale, {ds, count}, q, A(1), {work.dk + at_keys, width});
  if constexpr (std::is_same_v<T, A>) {
    gemm<A>(false, false, rows, dim, count, scale, {ds, count}, keys, A(0),
            {work.dq + at_queries, width});
  } else {
    A* dq = sized(scratch.dq, rows * dim);
    gemm<A>(false, false, rows, dim, count, scale, {ds, count}, keys, A(0), {dq, dim});
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
  std::vector<Item> items;
  for (size_t s = 0; s < work.segments->size(); ++s)
    for (int64_t head = 0; head < shape.num_heads; ++head)
      items.push_back({s, head, 0, (*work.segments)[s].length});
  std::stable_sort(items.begin(), items.end(),
                   [](const Item& a, const Item& b) { return a.last > b.last; });
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
        const auto values =
            as_compute_type<T, A>(work.v + offset, segment.length, kv_width, dim, scratch.v);
        for (int64_t first = 0; first < segment.length; first += kQueryBlock)
          backward_block(work, segment, item, first, keys, values, scratch);
      });
}

template void attention_forward<float>(const AttentionForward<float>&);
template void attention_forward<c10::BFloat16>(const AttentionForward<c10::BFloat16>&);
template void attention_forward<double>(const AttentionForward<double>&);
template void attention_backward<float>(const AttentionBackward<float>&);
template void attention_backward<c10::BFloat16>(const AttentionBackward<c10::BFloat16>&);
template void attention_backward<double>(const AttentionBackward<double>&);

}  // namespace lmoe::nn
