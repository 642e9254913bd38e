// What the forward and the backward of attention share: work for threads, rows in the type they are
// computed in, and keys whose head dimensions lie apart.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <vector>

#include "kernels/narrow_products.h"
#include "kernels/rows.h"
#include "nn/attention_kernel.h"

namespace lmoe::nn {

using kernels::Rows;

inline constexpr int64_t kQueryBlock = 64;

/// Scores are made for multiples of this many keys, whole vectors on every machine.
inline constexpr int64_t kKeyStep = 16;

inline int64_t whole_steps(int64_t count) { return (count + kKeyStep - 1) / kKeyStep * kKeyStep; }

/// Keys [begin, end) that a query does not see because of passages (base/passage.h).
struct HiddenKeys {
  int64_t begin = 0, end = 0;
};

/// Of a passage's queries, those between the document's beginning and the passage.
inline HiddenKeys hidden_keys(const Segment& segment, int64_t position) {
  for (const Passage& passage : segment.passages)
    if (position >= passage.begin && position < passage.end)
      return {segment.passages.front().begin, passage.begin};
  return {};
}

/// The first key that the query at `position` sees, as an absolute position; it sees all from there
/// to itself but for `hidden_keys`.
inline int64_t first_visible(const AttentionShape& shape,
                             const Segment& segment,
                             int64_t position) {
  const int64_t first =
      shape.sliding_window > 0 ? std::max<int64_t>(0, position - shape.sliding_window + 1) : 0;
  const HiddenKeys hidden = hidden_keys(segment, position);
  return first >= hidden.begin ? std::max(first, hidden.end) : first;
}

/// The first key that any of the queries at [position, last] sees.
inline int64_t first_visible(const AttentionShape& shape,
                             const Segment& segment,
                             int64_t position,
                             int64_t last) {
  int64_t lowest = first_visible(shape, segment, position);
  // Without passages the others see no earlier one.
  for (; !segment.passages.empty() && position < last; ++position)
    lowest = std::min(lowest, first_visible(shape, segment, position + 1));
  return lowest;
}

/// Scores of keys from `first_key` on: those that the query at `position` does not see become -inf.
template <class A>
void hide_keys(const Segment& segment, int64_t position, int64_t first_key, A* scores) {
  const HiddenKeys hidden = hidden_keys(segment, position);
  const int64_t begin = std::max(hidden.begin, first_key);
  if (begin < hidden.end)
    std::fill(scores + (begin - first_key), scores + (hidden.end - first_key),
              -std::numeric_limits<A>::infinity());
}

/// Threads take items one by one, so unequal documents do not leave a thread idle. Each item writes
/// its own rows, so results do not depend on who took it.
template <class Item, class MakeScratch, class Body>
void run_items(const std::vector<Item>& items, const MakeScratch& make_scratch, const Body& body) {
  std::atomic<size_t> next{0};
  const auto threads = std::min<int64_t>(at::get_num_threads(), static_cast<int64_t>(items.size()));
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    auto scratch = make_scratch();
    for (size_t i = next++; i < items.size(); i = next++) body(items[i], scratch);
  });
}

/// A buffer that only grows.
template <class A>
A* sized(std::vector<A>& buffer, int64_t count) {
  if (static_cast<int64_t>(buffer.size()) < count) buffer.resize(static_cast<size_t>(count));
  return buffer.data();
}

/// Rows [first, first + rows) of `data` as type A: in place when they are stored so, else converted
/// into `buffer`.
template <class T, class A>
Rows<const A> as_compute_type(
    const T* data, int64_t rows, int64_t stride, int64_t width, std::vector<A>& buffer) {
  if constexpr (std::is_same_v<T, A>) {
    return {data, stride};
  } else {
    A* to = sized(buffer, rows * width);
    for (int64_t row = 0; row < rows; ++row)
      kernels::load_row(stored(data) + row * stride, width, to + row * width);
    return {to, width};
  }
}

template <class T, class A>
void store_rows(const std::vector<A>& buffer, int64_t rows, int64_t width, T* out, int64_t stride) {
  for (int64_t row = 0; row < rows; ++row)
    kernels::store_row(buffer.data() + row * width, width, stored(out) + row * stride);
}

/// Keys or values of some segments with every head as [head_dim, length], so that a product with a
/// block of queries runs along the keys. Rows end in zeros enough for a last whole step from any
/// key.
template <class A>
class TransposedHeads {
 public:
  /// `rows[s]` are those of segment s, [lengths[s], heads, head_dim]; segments of length 0 have
  /// none.
  template <class T>
  TransposedHeads(const std::vector<const T*>& rows,
                  const std::vector<int64_t>& lengths,
                  int64_t heads,
                  int64_t head_dim)
      : head_dim_(head_dim) {
    struct Item {
      size_t segment;
      int64_t head;
    };
    std::vector<Item> items;
    int64_t size = 0;
    for (size_t s = 0; s < lengths.size(); ++s) {
      first_.push_back(size);
      strides_.push_back(lengths[s] > 0 ? whole_steps(lengths[s]) + kKeyStep : 0);
      size += heads * head_dim * strides_[s];
      for (int64_t head = 0; lengths[s] > 0 && head < heads; ++head) items.push_back({s, head});
    }
    values_.resize(static_cast<size_t>(size));
    run_items(
        items, [] { return 0; },
        [&](const Item& item, int) {
          const T* from = rows[item.segment] + item.head * head_dim;
          transpose(from, heads * head_dim, lengths[item.segment],
                    writable(item.segment, item.head));
        });
  }

  /// [head_dim, keys from `key` on]
  Rows<const A> head(size_t segment, int64_t head, int64_t key) const {
    const int64_t stride = strides_[segment];
    return {values_.data() + first_[segment] + head * head_dim_ * stride + key, stride};
  }

 private:
  Rows<A> writable(size_t segment, int64_t head) {
    const int64_t stride = strides_[segment];
    return {values_.data() + first_[segment] + head * head_dim_ * stride, stride};
  }

  /// Sixteen keys at a time, whose rows stay in the first cache.
  template <class T>
  void transpose(const T* from, int64_t from_stride, int64_t keys, Rows<A> to) const {
    for (int64_t first = 0; first < keys; first += kKeyStep) {
      const int64_t last = std::min(keys, first + kKeyStep);
      for (int64_t i = 0; i < head_dim_; ++i)
        for (int64_t key = first; key < last; ++key)
          to.data[i * to.stride + key] = static_cast<A>(from[key * from_stride + i]);
    }
  }

  int64_t head_dim_;
  std::vector<int64_t> first_, strides_;
  std::vector<A> values_;
};

}  // namespace lmoe::nn
