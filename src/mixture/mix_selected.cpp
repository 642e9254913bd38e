#include "mixture/mix_selected.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <memory>

#include "kernels/narrow_products.h"
#include "kernels/rows.h"
#include "mixture/expert_chunks.h"
#include "mixture/with_aten.h"
#include "nn/dispatch.h"
#include "nn/part_times.h"

namespace lmoe::mixture {
namespace {

using kernels::Rows;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// One projection of the group on plain pointers.
template <class T>
struct Projection {
  using A = nn::accumulate_t<T>;
  const ExpertPairs* pairs = nullptr;
  int64_t in = 0, out = 0, rank = 0, weight_stride = 0;
  A scaling = 1;
  const T* x = nullptr;        ///< [N, in]
  const A* weights = nullptr;  ///< of expert e of token t at t * weight_stride + e
  const A* a = nullptr;        ///< [E * R, in]
  const A* b = nullptr;        ///< transposed [E * R, out]
  A* narrow = nullptr;         ///< [M, R] A x, kept for backward
};

/// Buffers of a thread, and the work on one chunk.
template <class T>
class Worker {
 public:
  using A = nn::accumulate_t<T>;

  explicit Worker(const Projection<T>& p)
      : p_(p),
        x_(chunk_rows<A>(*p.pairs, p.in)),
        y_(chunk_rows<A>(*p.pairs, p.out)),
        narrow_(chunk_rows<A>(*p.pairs, p.rank)) {}

  void forward(const Chunk& c, T* y) {
    gather(c, p_.x, p_.in, x_.data());
    kernels::narrow<A>(in_sizes(c), A(1), x(), a(c), {p_.narrow + c.first * p_.rank, p_.rank});
    kernels::widen<A>(out_sizes(c), /*is_first=*/true, p_.scaling, weighted(c, kept(c)), b(c),
                      {y_.data(), p_.out});
    for (int64_t i = 0; i < c.count; ++i)
      add_row<T>(false, A(1), y_.data() + i * p_.out, p_.out, y + c.token[i] * p_.out);
  }

  /// `dx`, `da` and `db` may be null.
  void backward(const Chunk& c, const T* dy, T* dx, A* dweights, A* da, A* db) {
    gather(c, dy, p_.out, y_.data());
    const Rows<const A> rows{y_.data(), p_.out};
    if (db != nullptr)
      kernels::add_outer<A>(out_sizes(c), p_.scaling, weighted(c, kept(c)), rows,
                            {db + c.expert * p_.rank * p_.out, p_.out});
    A* dv = narrow_.data();
    kernels::narrow<A>(out_sizes(c), p_.scaling, rows, b(c), {dv, p_.rank});
    for (int64_t i = 0; i < c.count; ++i)
      dweights[c.token[i] * p_.weight_stride + c.expert] +=
          kernels::dot_row(dv + i * p_.rank, kept(c) + i * p_.rank, p_.rank);
    const Rows<const A> du = weighted(c, dv);
    if (da != nullptr) {
      gather(c, p_.x, p_.in, x_.data());
      kernels::add_outer<A>(in_sizes(c), A(1), du, x(), {da + c.expert * p_.rank * p_.in, p_.in});
    }
    if (dx == nullptr) return;
    kernels::widen<A>(in_sizes(c), /*is_first=*/true, A(1), du, a(c), {x_.data(), p_.in});
    for (int64_t i = 0; i < c.count; ++i)
      add_row<T>(false, A(1), x_.data() + i * p_.in, p_.in, dx + c.token[i] * p_.in);
  }

 private:
  kernels::NarrowSizes in_sizes(const Chunk& c) const { return {c.count, p_.rank, p_.in}; }
  kernels::NarrowSizes out_sizes(const Chunk& c) const { return {c.count, p_.rank, p_.out}; }
  Rows<const A> x() const { return {x_.data(), p_.in}; }
  Rows<const A> a(const Chunk& c) const { return {p_.a + c.expert * p_.rank * p_.in, p_.in}; }
  Rows<const A> b(const Chunk& c) const { return {p_.b + c.expert * p_.rank * p_.out, p_.out}; }
  const A* kept(const Chunk& c) const { return p_.narrow + c.first * p_.rank; }

  /// Rows of R numbers times their weights; `rows` may be `narrow_` itself.
  Rows<const A> weighted(const Chunk& c, const A* rows) {
    for (int64_t i = 0; i < c.count; ++i)
      add_row<A>(true, p_.weights[c.token[i] * p_.weight_stride + c.expert], rows + i * p_.rank,
                 p_.rank, narrow_.data() + i * p_.rank);
    return {narrow_.data(), p_.rank};
  }

  const Projection<T>& p_;
  std::vector<A> x_, y_, narrow_;
};

/// What both passes know besides tensors. Pairs by gate: one for all projections, or one for each.
struct Selected : torch::CustomClassHolder {
  std::vector<ExpertPairs> pairs;
  double scaling = 1.0;
  int64_t rank = 0;
  const ExpertPairs& of(size_t projection) const {
    return pairs[std::min(projection, pairs.size() - 1)];
  }
};

// Positions among the saved tensors; the B's follow, then what forward keeps of each projection.
enum Saved : size_t { kX, kWeights, kA, kUps };

/// The saved tensors with their B's transposed, so that what a rank writes lies side by side.
variable_list with_transposed_ups(variable_list saved) {
  const size_t projections = (saved.size() - kUps) / 2;
  for (size_t p = 0; p < projections; ++p) saved[kUps + p] = saved[kUps + p].t().contiguous();
  return saved;
}

/// From saved tensors with transposed B's.
template <class T>
Projection<T> projection(const Selected& selected, const variable_list& saved, size_t p) {
  using A = nn::accumulate_t<T>;
  const size_t projections = (saved.size() - kUps) / 2;
  const at::Tensor &weights = saved[kWeights], &up = saved[kUps + p];
  Projection<T> own;
  own.pairs = &selected.of(p);
  own.in = saved[kX].size(1);
  own.out = up.size(1);
  own.rank = selected.rank;
  own.scaling = static_cast<A>(selected.scaling);
  own.weight_stride = weights.size(1) * weights.size(2);
  own.x = saved[kX].const_data_ptr<T>();
  const auto gate = static_cast<int64_t>(weights.size(1) == 1 ? 0 : p);
  own.weights = weights.const_data_ptr<A>() + gate * weights.size(2);
  own.a = saved[kA].const_data_ptr<A>() + static_cast<int64_t>(p) * up.size(0) * own.in;
  own.b = up.const_data_ptr<A>();
  own.narrow = saved[kUps + projections + p].data_ptr<A>();
  return own;
}

class MixSelected : public torch::autograd::Function<MixSelected> {
 public:
  static variable_list forward(AutogradContext* context,
                               const at::Tensor& x,
                               const at::Tensor& weights,
                               const at::Tensor& a,
                               at::TensorList ups,
                               at::TensorList given_outputs,
                               const c10::intrusive_ptr<Selected>& selected) {
    const nn::PartScope scope(nn::Part::kAdapterGemm, nn::Direction::kForward);
    variable_list outputs = given_outputs.vec(), saved = {x, weights, a};
    saved.insert(saved.end(), ups.begin(), ups.end());
    for (size_t p = 0; p < ups.size(); ++p)
      saved.push_back(at::empty({selected->of(p).size(), selected->rank}, weights.options()));
    const variable_list read = with_transposed_ups(saved);
    nn::dispatch_dtype(x, [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (size_t p = 0; p < outputs.size(); ++p) {
        const Projection<T> own = projection<T>(*selected, read, p);
        T* y = outputs[p].data_ptr<T>();
        for_each_lane(own.pairs->lanes, [&](int64_t lane) {
          Worker<T> worker(own);
          for_each_chunk(*own.pairs, lane, [&](const Chunk& c) { worker.forward(c, y); });
        });
      }
    });
    context->save_for_backward(std::move(saved));
    context->saved_data["selected"] = c10::IValue::make_capsule(selected);
    context->mark_dirty(outputs);
    return outputs;
  }

  static variable_list backward(AutogradContext* context, variable_list dys) {
    const nn::PartScope scope(nn::Part::kAdapterGemm, nn::Direction::kBackward);
    const variable_list saved = with_transposed_ups(context->get_saved_variables());
    const auto selected =
        c10::static_intrusive_pointer_cast<Selected>(context->saved_data["selected"].toCapsule());
    variable_list result;
    for (size_t i = 0; i < kUps + dys.size(); ++i) {
      const bool is_wanted = i == kWeights || context->needs_input_grad(i);
      result.push_back(is_wanted ? at::zeros_like(saved[i]) : at::Tensor());
    }
    nn::dispatch_dtype(saved[kX], [&](auto tag) {
      using T = typename decltype(tag)::type;
      using A = nn::accumulate_t<T>;
      T* dx = result[kX].defined() ? result[kX].data_ptr<T>() : nullptr;
      for (size_t p = 0; p < dys.size(); ++p) {
        const Projection<T> own = projection<T>(*selected, saved, p);
        const at::Tensor given = dys[p].contiguous();
        const T* dy = given.const_data_ptr<T>();
        A* dweights =
            result[kWeights].data_ptr<A>() + (own.weights - saved[kWeights].const_data_ptr<A>());
        const int64_t columns = saved[kUps + p].size(0);
        SharedSums<A> factors;
        if (result[kA].defined())
          factors.emplace_back(result[kA].data_ptr<A>() + (own.a - saved[kA].const_data_ptr<A>()),
                               columns * own.in);
        if (result[kUps + p].defined())
          factors.emplace_back(result[kUps + p].data_ptr<A>(), columns * own.out);
        sum_over_lanes<A>(
            own.pairs->lanes, factors, [&](int64_t lane, const std::vector<A*>& sums) {
              A* da = result[kA].defined() ? sums.front() : nullptr;
              A* db = result[kUps + p].defined() ? sums.back() : nullptr;
              Worker<T> worker(own);
              for_each_chunk(*own.pairs, lane,
                             [&](const Chunk& c) { worker.backward(c, dy, dx, dweights, da, db); });
            });
      }
    });
    for (size_t p = 0; p < dys.size(); ++p)
      if (result[kUps + p].defined()) result[kUps + p] = result[kUps + p].t();
    result.insert(result.end(), dys.begin(), dys.end());
    result.emplace_back();  // selected
    return result;
  }
};

}  // namespace

std::vector<at::Tensor> mix_selected(const at::Tensor& x,
                                     const at::Tensor& weights,
                                     const at::Tensor& a,
                                     const std::vector<at::Tensor>& ups,
                                     const std::vector<at::Tensor>& outputs,
                                     double scaling) {
  if (!x.device().is_cpu()) return with_aten::mix_selected(x, weights, a, ups, outputs, scaling);
  const at::ScalarType wide = nn::accumulate_dtype(x.scalar_type());
  const auto typed = [&](const at::Tensor& tensor) { return tensor.to(wide).contiguous(); };
  const at::Tensor w = typed(weights);
  std::vector<at::Tensor> typed_ups;
  for (const at::Tensor& up : ups) typed_ups.push_back(typed(up));
  auto selected = c10::make_intrusive<Selected>();
  selected->scaling = scaling;
  selected->rank = ups[0].size(1) / w.size(2);
  for (int64_t gate = 0; gate < w.size(1); ++gate)
    selected->pairs.push_back(
        sort_pairs(w.detach().select(/*dim=*/1, gate).contiguous(), lanes_for(x.size(0))));
  return MixSelected::apply(x.contiguous(), w, typed(a), at::TensorList(typed_ups),
                            at::TensorList(outputs), selected);
}

}  // namespace lmoe::mixture
