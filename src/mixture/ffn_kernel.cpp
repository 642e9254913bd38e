#include "mixture/ffn_kernel.h"

#include <algorithm>

#include "kernels/gated_activation.h"
#include "kernels/narrow_products.h"
#include "kernels/rows.h"
#include "mixture/expert_chunks.h"

namespace lmoe::mixture {
namespace {

using kernels::Rows;

/// Buffers of one thread for one chunk.
template <class A>
struct Scratch {
  Scratch(const ExpertPairs& pairs, int64_t hidden, int64_t inner, int64_t rank)
      : x(chunk_rows<A>(pairs, hidden)),
        z{chunk_rows<A>(pairs, inner), chunk_rows<A>(pairs, inner)},
        activated(chunk_rows<A>(pairs, std::max(hidden, inner))),
        gradient(chunk_rows<A>(pairs, inner)),
        narrow(chunk_rows<A>(pairs, rank)) {}
  std::vector<A> x, z[2], activated, gradient, narrow;
};

template <class T>
class Kernel {
 public:
  using A = nn::accumulate_t<T>;

  Kernel(const FfnInput<T>& input, const FfnKept<A>& kept)
      : in_(input),
        kept_(kept),
        projections_(static_cast<int64_t>(input.targets.size())),
        columns_(input.pairs->experts * input.rank),
        scaling_(static_cast<A>(input.scaling)),
        scratch_(*input.pairs, input.hidden, input.inner, input.rank) {}

  void forward(const Chunk& c, T* mixed, T* low) {
    if (projections_ > 0) {
      gather(c, in_.x, in_.hidden, scratch_.x.data());
      for (int64_t p = 0; p < projections_; ++p)
        kernels::narrow<A>(hidden_sizes(c), A(1), x(), a(c, p), narrow(c, p));
    }
    activate(c);
    for (int64_t i = 0; i < c.count; ++i)
      add_row<T>(c.is_first[i] != 0, weight(c, i), scratch_.activated.data() + i * in_.inner,
                 in_.inner, mixed + c.token[i] * in_.inner);
    if (in_.down_a == nullptr) return;
    drop(c, scratch_.activated);
    const Rows<A> kept{kept_.down_narrow + c.first * in_.rank, in_.rank};
    kernels::narrow<A>(inner_sizes(c), A(1), activated(), down_a(c), kept);
    kernels::widen<A>(hidden_sizes(c), /*is_first=*/true, A(1), weighted_narrow(c), down_b(c),
                      {scratch_.x.data(), in_.hidden});
    for (int64_t i = 0; i < c.count; ++i)
      add_row<T>(c.is_first[i] != 0, A(1), scratch_.x.data() + i * in_.hidden, in_.hidden,
                 low + c.token[i] * in_.hidden);
  }

  /// Adds to the gradients of the factors; writes or adds to those of the tokens.
  void backward(const Chunk& c, const T* dmixed, const T* dlow, const FfnGradients<T>& g) {
    activate(c);
    A* gradient = scratch_.gradient.data();
    if (in_.down_a == nullptr)
      std::fill_n(gradient, c.count * in_.inner, A(0));
    else
      down_backward(c, dlow, g);
    for (int64_t i = 0; i < c.count; ++i)
      g.dweights[c.token[i] * in_.pairs->experts + c.expert] +=
          weigh_row(weight(c, i), dmixed + c.token[i] * in_.inner,
                    scratch_.activated.data() + i * in_.inner, in_.inner, gradient + i * in_.inner);
    if (g.ddown_a != nullptr) {
      drop(c, scratch_.activated);
      kernels::add_outer<A>(inner_sizes(c), A(1), {scratch_.narrow.data(), in_.rank}, activated(),
                            {g.ddown_a + c.expert * in_.rank * in_.inner, in_.inner});
    }
    A *dgate = scratch_.z[0].data(), *dup = scratch_.z[1].data();
    kernels::gated_values_backward(in_.activation, dgate, dup, gradient, c.count * in_.inner, dgate,
                                   dup);
    for (int64_t i = 0; i < c.count; ++i) {
      const int64_t row = c.token[i] * in_.inner;
      add_row<T>(c.is_first[i] != 0, A(1), dgate + i * in_.inner, in_.inner, g.dgate + row);
      add_row<T>(c.is_first[i] != 0, A(1), dup + i * in_.inner, in_.inner, g.dup + row);
    }
    if (projections_ > 0) gate_up_backward(c, g);
  }

 private:
  A weight(const Chunk& c, int64_t i) const {
    return in_.weights[c.token[i] * in_.pairs->experts + c.expert];
  }
  kernels::NarrowSizes hidden_sizes(const Chunk& c) const {
    return {c.count, in_.rank, in_.hidden};
  }
  kernels::NarrowSizes inner_sizes(const Chunk& c) const { return {c.count, in_.rank, in_.inner}; }
  Rows<const A> x() const { return {scratch_.x.data(), in_.hidden}; }
  Rows<const A> activated() const { return {scratch_.activated.data(), in_.inner}; }
  Rows<const A> a(const Chunk& c, int64_t p) const {
    return {in_.a + (p * columns_ + c.expert * in_.rank) * in_.hidden, in_.hidden};
  }
  Rows<const A> b(const Chunk& c, int64_t p) const {
    return {in_.b[static_cast<size_t>(p)] + c.expert * in_.rank * in_.inner, in_.inner};
  }
  Rows<const A> down_a(const Chunk& c) const {
    return {in_.down_a + c.expert * in_.rank * in_.inner, in_.inner};
  }
  Rows<const A> down_b(const Chunk& c) const {
    return {in_.down_b + c.expert * in_.rank * in_.hidden, in_.hidden};
  }
  Rows<A> narrow(const Chunk& c, int64_t p) const {
    return {kept_.narrow + (c.first * projections_ + p) * in_.rank, projections_ * in_.rank};
  }
  std::vector<A>& z(int64_t p) {
    return scratch_.z[static_cast<size_t>(in_.targets[static_cast<size_t>(p)])];
  }

  /// z of both projections, and act(z_gate) * z_up.
  void activate(const Chunk& c) {
    gather(c, in_.gate, in_.inner, scratch_.z[0].data());
    gather(c, in_.up, in_.inner, scratch_.z[1].data());
    for (int64_t p = 0; p < projections_; ++p) {
      const Rows<A> u = narrow(c, p);
      kernels::widen<A>(inner_sizes(c), /*is_first=*/false, scaling_, {u.data, u.stride}, b(c, p),
                        {z(p).data(), in_.inner});
    }
    kernels::gated_values(in_.activation, scratch_.z[0].data(), scratch_.z[1].data(),
                          c.count * in_.inner, scratch_.activated.data());
  }

  void drop(const Chunk& c, std::vector<A>& values) {
    if (in_.dropout.rate == 0.0) return;
    for (int64_t i = 0; i < c.count; ++i) {
      A* row = values.data() + i * in_.inner;
      drop_row(in_.dropout, c.token[i] * in_.pairs->experts + c.expert, row, in_.inner, row);
    }
  }

  /// w s A2 drop(a) of each pair.
  Rows<const A> weighted_narrow(const Chunk& c) {
    for (int64_t i = 0; i < c.count; ++i)
      add_row<A>(true, weight(c, i) * scaling_, kept_.down_narrow + (c.first + i) * in_.rank,
                 in_.rank, scratch_.narrow.data() + i * in_.rank);
    return {scratch_.narrow.data(), in_.rank};
  }

  /// Leaves the gradient of A2 drop(a) in `narrow` and that of a in `gradient`.
  void down_backward(const Chunk& c, const T* dlow, const FfnGradients<T>& g) {
    gather(c, dlow, in_.hidden, scratch_.x.data());
    if (g.ddown_b != nullptr)
      kernels::add_outer<A>(hidden_sizes(c), A(1), weighted_narrow(c), x(),
                            {g.ddown_b + c.expert * in_.rank * in_.hidden, in_.hidden});
    A* dv = scratch_.narrow.data();
    kernels::narrow<A>(hidden_sizes(c), scaling_, x(), down_b(c), {dv, in_.rank});
    for (int64_t i = 0; i < c.count; ++i) {
      A* row = dv + i * in_.rank;
      g.dweights[c.token[i] * in_.pairs->experts + c.expert] +=
          kernels::dot_row(row, kept_.down_narrow + (c.first + i) * in_.rank, in_.rank);
      add_row<A>(true, weight(c, i), row, in_.rank, row);
    }
    kernels::widen<A>(inner_sizes(c), /*is_first=*/true, A(1), {dv, in_.rank}, down_a(c),
                      {scratch_.gradient.data(), in_.inner});
    drop(c, scratch_.gradient);
  }

  /// From the gradients of z, which lie where z was.
  void gate_up_backward(const Chunk& c, const FfnGradients<T>& g) {
    gather(c, in_.x, in_.hidden, scratch_.x.data());
    A* dx = scratch_.activated.data();  // free by now
    for (int64_t p = 0; p < projections_; ++p) {
      const Rows<const A> dz{z(p).data(), in_.inner};
      const Rows<A> u = narrow(c, p);
      A* db = g.db[static_cast<size_t>(p)];
      if (db != nullptr)
        kernels::add_outer<A>(inner_sizes(c), scaling_, {u.data, u.stride}, dz,
                              {db + c.expert * in_.rank * in_.inner, in_.inner});
      if (g.da == nullptr && g.dx == nullptr) continue;
      const Rows<A> du{scratch_.narrow.data(), in_.rank};
      kernels::narrow<A>(inner_sizes(c), scaling_, dz, b(c, p), du);
      if (g.da != nullptr)
        kernels::add_outer<A>(
            hidden_sizes(c), A(1), {du.data, du.stride}, x(),
            {g.da + (p * columns_ + c.expert * in_.rank) * in_.hidden, in_.hidden});
      if (g.dx != nullptr)
        kernels::widen<A>(hidden_sizes(c), /*is_first=*/p == 0, A(1), {du.data, du.stride}, a(c, p),
                          {dx, in_.hidden});
    }
    for (int64_t i = 0; g.dx != nullptr && i < c.count; ++i)
      add_row<T>(c.is_first[i] != 0, A(1), dx + i * in_.hidden, in_.hidden,
                 g.dx + c.token[i] * in_.hidden);
  }

  const FfnInput<T>& in_;
  const FfnKept<A>& kept_;
  int64_t projections_, columns_;
  A scaling_;
  Scratch<A> scratch_;
};

/// Tokens without an expert are no chunk's.
template <class T>
void clear_unused(const ExpertPairs& pairs, int64_t width, T* rows) {
  for (const int32_t token : pairs.unused) std::fill_n(rows + token * width, width, T(0));
}

/// The gradients of the factors, in the order `with_sums` takes them.
template <class T>
SharedSums<nn::accumulate_t<T>> factor_sums(const FfnInput<T>& in, const FfnGradients<T>& g) {
  const int64_t columns = in.pairs->experts * in.rank;
  SharedSums<nn::accumulate_t<T>> sums;
  const auto add = [&](auto* sum, int64_t count) {
    if (sum != nullptr) sums.emplace_back(sum, count);
  };
  for (auto* db : g.db) add(db, in.inner * columns);
  add(g.da, std::ssize(in.targets) * columns * in.hidden);
  add(g.ddown_a, columns * in.inner);
  add(g.ddown_b, columns * in.hidden);
  return sums;
}

template <class T>
FfnGradients<T> with_sums(FfnGradients<T> g, const std::vector<nn::accumulate_t<T>*>& sums) {
  size_t next = 0;
  for (auto*& db : g.db)
    if (db != nullptr) db = sums[next++];
  for (auto** own : {&g.da, &g.ddown_a, &g.ddown_b})
    if (*own != nullptr) *own = sums[next++];
  return g;
}

}  // namespace

template <class T>
void ffn_forward(const FfnInput<T>& input,
                 const FfnKept<nn::accumulate_t<T>>& kept,
                 T* mixed,
                 T* low) {
  const ExpertPairs& pairs = *input.pairs;
  clear_unused(pairs, input.inner, mixed);
  if (input.down_a != nullptr) clear_unused(pairs, input.hidden, low);
  for_each_lane(pairs.lanes, [&](int64_t lane) {
    Kernel<T> kernel(input, kept);
    for_each_chunk(pairs, lane, [&](const Chunk& c) { kernel.forward(c, mixed, low); });
  });
}

template <class T>
void ffn_backward(const FfnInput<T>& input,
                  const FfnKept<nn::accumulate_t<T>>& kept,
                  const T* dmixed,
                  const T* dlow,
                  const FfnGradients<T>& gradients) {
  using A = nn::accumulate_t<T>;
  const ExpertPairs& pairs = *input.pairs;
  std::fill_n(gradients.dweights, pairs.tokens * pairs.experts, A(0));
  clear_unused(pairs, input.inner, gradients.dgate);
  clear_unused(pairs, input.inner, gradients.dup);
  if (gradients.dx != nullptr) clear_unused(pairs, input.hidden, gradients.dx);
  sum_over_lanes<A>(
      pairs.lanes, factor_sums(input, gradients), [&](int64_t lane, const std::vector<A*>& sums) {
        Kernel<T> kernel(input, kept);
        const FfnGradients<T> own = with_sums(gradients, sums);
        for_each_chunk(pairs, lane, [&](const Chunk& c) { kernel.backward(c, dmixed, dlow, own); });
      });
}

#define LMOE_INSTANTIATE(T)                                                                        \
  template void ffn_forward<T>(const FfnInput<T>&, const FfnKept<nn::accumulate_t<T>>&, T*, T*);   \
  template void ffn_backward<T>(const FfnInput<T>&, const FfnKept<nn::accumulate_t<T>>&, const T*, \
                                const T*, const FfnGradients<T>&);
LMOE_INSTANTIATE(float)
LMOE_INSTANTIATE(c10::BFloat16)
LMOE_INSTANTIATE(double)
#undef LMOE_INSTANTIATE

}  // namespace lmoe::mixture
