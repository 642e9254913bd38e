#include "mixture/selected_kernel.h"

#include <type_traits>

#include "kernels/narrow_products.h"
#include "kernels/rows.h"
#include "mixture/expert_chunks.h"

namespace lmoe::mixture {
namespace {

using kernels::Rows;

/// The rows of a chunk's tokens as they are computed with: in place, or widened in a buffer.
template <class T>
class TokenRows {
 public:
  using A = nn::accumulate_t<T>;
  static constexpr bool kInPlace = std::is_same_v<T, A>;

  TokenRows(const ExpertPairs& pairs, int64_t width)
      : buffer_(kInPlace ? std::vector<A>() : chunk_rows<A>(pairs, width)) {}

  /// Columns from `column` on, `count` of them, of rows that are `width` wide.
  Rows<const A> read(const Chunk& c, const T* from, int64_t width, int64_t column, int64_t count) {
    if constexpr (kInPlace) {
      return {from + column, width, c.token};
    } else {
      for (int64_t i = 0; i < c.count; ++i)
        load_row(from + c.token[i] * width + column, count, buffer_.data() + i * count);
      return {buffer_.data(), count};
    }
  }

  /// to[token] += alpha u f
  void add(const Chunk& c,
           kernels::NarrowSizes sizes,
           A alpha,
           Rows<const A> u,
           Rows<const A> f,
           T* to) {
    if constexpr (kInPlace) {
      kernels::widen<A>(sizes, /*is_first=*/false, alpha, u, f, {to, sizes.width, c.token});
    } else {
      kernels::widen<A>(sizes, /*is_first=*/true, alpha, u, f, {buffer_.data(), sizes.width});
      for (int64_t i = 0; i < c.count; ++i)
        add_row<T>(false, A(1), buffer_.data() + i * sizes.width, sizes.width,
                   to + c.token[i] * sizes.width);
    }
  }

 private:
  std::vector<A> buffer_;
};

template <class T>
class Kernel {
 public:
  using A = nn::accumulate_t<T>;

  Kernel(const SelectedInput<T>& input)
      : in_(input), x_(*input.pairs, input.in), y_(*input.pairs, input.out) {}

  void forward(const Chunk& c, A* narrow, A* weighted, T* y) {
    const Rows<A> kept = ranks(c, narrow);
    kernels::narrow<A>(in_sizes(c), A(1), x_.read(c, in_.x, in_.in, 0, in_.in), a(c), kept);
    weigh(c, narrow, weighted);
    y_.add(c, out_sizes(c), in_.scaling, ranks<const A>(c, weighted), b(c), y);
  }

  /// `du` is what the gradients of A and of x are made of.
  void backward(
      const Chunk& c, const A* narrow, const T* dy, A* du, const SelectedGradients<T>& gradients) {
    kernels::narrow<A>(out_sizes(c), in_.scaling, y_.read(c, dy, in_.out, 0, in_.out), b(c),
                       ranks(c, du));
    for (int64_t i = 0; i < c.count; ++i) {
      const int64_t place = (c.first + i) * in_.rank;
      gradients.dweights[c.token[i] * in_.weight_stride + c.expert] +=
          kernels::dot_row(du + place, narrow + place, in_.rank);
    }
    weigh(c, du, du);
    if (gradients.dx != nullptr)
      x_.add(c, in_sizes(c), A(1), ranks<const A>(c, du), a(c), gradients.dx);
  }

  /// Rows of R numbers times their weights; `to` may be `from`.
  void weigh(const Chunk& c, const A* from, A* to) const {
    for (int64_t i = 0; i < c.count; ++i) {
      const int64_t place = (c.first + i) * in_.rank;
      kernels::add_row<A>(true, in_.weights[c.token[i] * in_.weight_stride + c.expert],
                          from + place, in_.rank, to + place);
    }
  }

 private:
  kernels::NarrowSizes in_sizes(const Chunk& c) const { return {c.count, in_.rank, in_.in}; }
  kernels::NarrowSizes out_sizes(const Chunk& c) const { return {c.count, in_.rank, in_.out}; }
  Rows<const A> a(const Chunk& c) const { return {in_.a + c.expert * in_.rank * in_.in, in_.in}; }
  Rows<const A> b(const Chunk& c) const { return {in_.b + c.expert * in_.rank * in_.out, in_.out}; }
  template <class B>
  Rows<B> ranks(const Chunk& c, B* all) const {
    return {all + c.first * in_.rank, in_.rank};
  }

  const SelectedInput<T>& in_;
  TokenRows<T> x_, y_;
};

/// sums [E * R, width] += alpha uᵀ rows, expert by expert; u [M, R], rows [N, width].
template <class T>
void sum_outer(const SelectedInput<T>& input,
               nn::accumulate_t<T> alpha,
               const nn::accumulate_t<T>* u,
               const T* rows,
               int64_t width,
               nn::accumulate_t<T>* sums) {
  using A = nn::accumulate_t<T>;
  constexpr int64_t kColumns = 64;
  const int64_t rank = input.rank, blocks = (width + kColumns - 1) / kColumns;
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    const int64_t column = begin * kColumns, count = std::min(end * kColumns, width) - column;
    TokenRows<T> own(*input.pairs, count);
    for (int64_t lane = 0; lane < input.pairs->lanes; ++lane)
      for_each_chunk(*input.pairs, lane, [&](const Chunk& c) {
        kernels::add_outer<A>({c.count, rank, count}, alpha, {u + c.first * rank, rank},
                              own.read(c, rows, width, column, count),
                              {sums + c.expert * rank * width + column, width});
      });
  });
}

}  // namespace

template <class T>
void selected_forward(const SelectedInput<T>& input, nn::accumulate_t<T>* narrow, T* y) {
  const ExpertPairs& pairs = *input.pairs;
  std::vector<nn::accumulate_t<T>> weighted(static_cast<size_t>(pairs.size() * input.rank));
  for_each_lane(pairs.lanes, [&](int64_t lane) {
    Kernel<T> kernel(input);
    for_each_chunk(pairs, lane,
                   [&](const Chunk& c) { kernel.forward(c, narrow, weighted.data(), y); });
  });
}

template <class T>
void selected_backward(const SelectedInput<T>& input,
                       const nn::accumulate_t<T>* narrow,
                       const T* dy,
                       const SelectedGradients<T>& gradients) {
  using A = nn::accumulate_t<T>;
  const ExpertPairs& pairs = *input.pairs;
  std::vector<A> du(static_cast<size_t>(pairs.size() * input.rank)), weighted(du.size());
  for_each_lane(pairs.lanes, [&](int64_t lane) {
    Kernel<T> kernel(input);
    for_each_chunk(pairs, lane, [&](const Chunk& c) {
      kernel.backward(c, narrow, dy, du.data(), gradients);
      kernel.weigh(c, narrow, weighted.data());
    });
  });
  if (gradients.da != nullptr)
    sum_outer<T>(input, A(1), du.data(), input.x, input.in, gradients.da);
  if (gradients.db != nullptr)
    sum_outer<T>(input, input.scaling, weighted.data(), dy, input.out, gradients.db);
}

#define LMOE_INSTANTIATE(T)                                                               \
  template void selected_forward<T>(const SelectedInput<T>&, nn::accumulate_t<T>*, T*);   \
  template void selected_backward<T>(const SelectedInput<T>&, const nn::accumulate_t<T>*, \
                                     const T*, const SelectedGradients<T>&);
LMOE_INSTANTIATE(float)
LMOE_INSTANTIATE(c10::BFloat16)
LMOE_INSTANTIATE(double)
#undef LMOE_INSTANTIATE

}  // namespace lmoe::mixture
