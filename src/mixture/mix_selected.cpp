#include "mixture/mix_selected.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <memory>

#include "mixture/selected_kernel.h"
#include "mixture/with_aten.h"
#include "nn/dispatch.h"
#include "nn/part_times.h"

namespace lmoe::mixture {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

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

/// A x of the pairs of projection p, [M, R].
at::Tensor narrow(const variable_list& saved, size_t p) {
  return saved[kUps + (saved.size() - kUps) / 2 + p];
}

/// The saved tensors with their B's transposed, so that what a rank writes lies side by side. Banks
/// hold them so.
variable_list with_transposed_ups(variable_list saved) {
  const size_t projections = (saved.size() - kUps) / 2;
  for (size_t p = 0; p < projections; ++p) saved[kUps + p] = saved[kUps + p].t().contiguous();
  return saved;
}

/// From saved tensors with transposed B's.
template <class T>
SelectedInput<T> projection(const Selected& selected, const variable_list& saved, size_t p) {
  using A = nn::accumulate_t<T>;
  const at::Tensor &weights = saved[kWeights], &up = saved[kUps + p];
  SelectedInput<T> own;
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
      using A = nn::accumulate_t<T>;
      for (size_t p = 0; p < outputs.size(); ++p)
        selected_forward<T>(projection<T>(*selected, read, p), narrow(read, p).data_ptr<A>(),
                            outputs[p].data_ptr<T>());
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
      for (size_t p = 0; p < dys.size(); ++p) {
        const SelectedInput<T> own = projection<T>(*selected, saved, p);
        const at::Tensor dy = dys[p].contiguous();
        SelectedGradients<T> gradients;
        if (result[kX].defined()) gradients.dx = result[kX].data_ptr<T>();
        gradients.dweights =
            result[kWeights].data_ptr<A>() + (own.weights - saved[kWeights].const_data_ptr<A>());
        if (result[kA].defined())
          gradients.da = result[kA].data_ptr<A>() + (own.a - saved[kA].const_data_ptr<A>());
        if (result[kUps + p].defined()) gradients.db = result[kUps + p].data_ptr<A>();
        selected_backward<T>(own, narrow(saved, p).const_data_ptr<A>(), dy.const_data_ptr<T>(),
                             gradients);
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
  const at::Tensor w = weights.to(wide).contiguous();
  std::vector<at::Tensor> typed_ups;
  for (const at::Tensor& up : ups) typed_ups.push_back(up.to(wide));
  auto selected = c10::make_intrusive<Selected>();
  selected->scaling = scaling;
  selected->rank = ups[0].size(1) / w.size(2);
  for (int64_t gate = 0; gate < w.size(1); ++gate)
    selected->pairs.push_back(
        sort_pairs(w.detach().select(/*dim=*/1, gate).contiguous(), lanes_for(x.size(0))));
  return MixSelected::apply(x.contiguous(), w, a.to(wide).contiguous(), at::TensorList(typed_ups),
                            at::TensorList(outputs), selected);
}

}  // namespace lmoe::mixture
