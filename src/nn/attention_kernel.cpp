#include "nn/attention_kernel.h"

#include "kernels/softmax.h"
#include "nn/attention_blocks.h"

namespace lmoe::nn {

namespace {

/// Work for one thread: queries [first, last) of a segment, of one group of heads.
struct Item {
  size_t segment = 0;
  int64_t kv_head = 0;
  int64_t first = 0, last = 0;
};

template <class A>
struct Scratch {
  std::vector<A> scores, q, k, v, out;
};

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

/// Keys as rows, and transposed where that was worth it.
template <class A>
struct Keys {
  Rows<const A> rows, transposed, values;
  int64_t begin = 0;  ///< absolute position of the first
};

template <class T>
void attend(const AttentionShape& shape,
            const Segment& segment,
            const QueryBlock<T>& block,
            const Keys<accumulate_t<T>>& keys,
            Scratch<accumulate_t<T>>& scratch) {
  using A = accumulate_t<T>;
  const int64_t dim = shape.head_dim;
  const int64_t count = block.position + (block.rows - 1) * block.position_step + 1 - keys.begin;
  const auto q = as_compute_type<T, A>(block.q, block.rows, block.stride, dim, scratch.q);
  const int64_t width = keys.transposed.data == nullptr ? count : whole_steps(count);
  const Rows<A> scores{sized(scratch.scores, block.rows * width), width};
  if (keys.transposed.data == nullptr)
    kernels::narrow<A>({block.rows, count, dim}, static_cast<A>(shape.scale), q, keys.rows, scores);
  else
    kernels::widen<A>({block.rows, dim, width}, /*is_first=*/true, static_cast<A>(shape.scale), q,
                      keys.transposed, scores);
  if (shape.softcap > 0)
    kernels::softcap_row(scores.data, block.rows * width, static_cast<A>(shape.softcap));
  for (int64_t row = 0; row < block.rows; ++row) {
    const int64_t position = block.position + row * block.position_step;
    A* const row_scores = scores.data + row * width;
    hide_keys(segment, position, keys.begin, row_scores);
    block.log_sum_exp[row * block.log_stride] =
        kernels::softmax_row(row_scores, first_visible(shape, segment, position) - keys.begin,
                             position + 1 - keys.begin, width);
  }
  const auto mix = [&](Rows<A> out) {
    kernels::widen<A>({block.rows, count, dim}, /*is_first=*/true, A(1), {scores.data, width},
                      keys.values, out);
  };
  if constexpr (std::is_same_v<T, A>) {
    mix({block.out, block.stride});
  } else {
    mix({sized(scratch.out, block.rows * dim), dim});
    store_rows(scratch.out, block.rows, dim, block.out, block.stride);
  }
}

/// A few queries do not pay for it.
bool transposes(const Segment& segment) { return segment.length >= kKeyStep; }

template <class T>
TransposedHeads<accumulate_t<T>> transpose_keys(const AttentionForward<T>& work) {
  std::vector<const T*> rows;
  std::vector<int64_t> lengths;
  for (size_t s = 0; s < work.segments->size(); ++s) {
    const Segment& segment = (*work.segments)[s];
    rows.push_back(work.keys[s].keys);
    lengths.push_back(transposes(segment) ? segment.past + segment.length : 0);
  }
  return {rows, lengths, work.shape.num_kv_heads, work.shape.head_dim};
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
  const TransposedHeads<A> transposed = transpose_keys(work);
  const auto body = [&](const Item& item, Scratch<A>& scratch) {
    const Segment& segment = (*work.segments)[item.segment];
    const int64_t position = segment.past + item.first;
    const int64_t end = segment.past + item.last;
    const int64_t begin = first_visible(shape, segment, position, end - 1), count = end - begin;
    const int64_t offset = begin * kv_width + item.kv_head * dim;
    Keys<A> keys;
    keys.begin = begin;
    if (transposes(segment))
      keys.transposed = transposed.head(item.segment, item.kv_head, begin);
    else
      keys.rows = as_compute_type<T, A>(work.keys[item.segment].keys + offset, count, kv_width, dim,
                                        scratch.k);
    keys.values = as_compute_type<T, A>(work.keys[item.segment].values + offset, count, kv_width,
                                        dim, scratch.v);
    const int64_t token = segment.start + item.first, first_head = item.kv_head * group;
    QueryBlock<T> block{work.q + token * width + first_head * dim,
                        work.out + token * width + first_head * dim,
                        work.log_sum_exp + token * shape.num_heads + first_head,
                        group,
                        dim,
                        1,
                        position,
                        0};
    if (item.last - item.first == 1) return attend(shape, segment, block, keys, scratch);
    block.rows = item.last - item.first;
    block.stride = width;
    block.log_stride = shape.num_heads;
    block.position_step = 1;
    for (int64_t head = 0; head < group; ++head) {
      attend(shape, segment, block, keys, scratch);
      block.q += dim;
      block.out += dim;
      block.log_sum_exp += 1;
    }
  };
  run_items(
      forward_items(*work.segments, shape.num_kv_heads), [] { return Scratch<A>(); }, body);
}

template void attention_forward<float>(const AttentionForward<float>&);
template void attention_forward<c10::BFloat16>(const AttentionForward<c10::BFloat16>&);
template void attention_forward<double>(const AttentionForward<double>&);

}  // namespace lmoe::nn
