#include "mixture/mix_ffn.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <memory>

#include "mixture/ffn_kernel.h"
#include "mixture/with_aten.h"
#include "nn/dispatch.h"
#include "nn/part_times.h"

namespace lmoe::mixture {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// What both passes read, besides tensors.
struct Setting {
  std::vector<int64_t> targets;
  double scaling = 1.0;
  nn::GatedActivation activation = nn::GatedActivation::kSilu;
  DropoutMask dropout;
  bool has_down = false;
  ExpertPairs pairs;
};

// Positions among the inputs.
enum Input : size_t { kX, kGate, kUp, kWeights, kFactors };

/// The kernel reads every B transposed, so that what a rank writes lies side by side; banks hold
/// them so.
variable_list transpose_ups(variable_list inputs, const Setting& setting) {
  const auto transpose = [&](at::Tensor& up) {
    if (up.defined()) up = up.t();
  };
  for (size_t p = 0; p < setting.targets.size(); ++p) transpose(inputs[kFactors + 1 + p]);
  if (setting.has_down) transpose(inputs.back());
  return inputs;
}

variable_list contiguous(variable_list tensors) {
  for (at::Tensor& tensor : tensors) tensor = tensor.contiguous();
  return tensors;
}

/// `inputs` with their B's transposed.
template <class T>
FfnInput<T> make_input(const variable_list& inputs, const Setting& setting) {
  using A = nn::accumulate_t<T>;
  FfnInput<T> in;
  in.hidden = inputs[kX].size(1);
  in.inner = inputs[kGate].size(1);
  in.activation = setting.activation;
  in.scaling = setting.scaling;
  in.dropout = setting.dropout;
  in.pairs = &setting.pairs;
  in.x = inputs[kX].const_data_ptr<T>();
  in.gate = inputs[kGate].const_data_ptr<T>();
  in.up = inputs[kUp].const_data_ptr<T>();
  in.weights = inputs[kWeights].const_data_ptr<A>();
  in.targets = setting.targets;
  size_t next = kFactors;
  if (!setting.targets.empty()) {
    in.a = inputs[next++].const_data_ptr<A>();
    for (size_t p = 0; p < setting.targets.size(); ++p)
      in.b.push_back(inputs[next++].const_data_ptr<A>());
  }
  if (setting.has_down) {
    in.down_a = inputs[next++].const_data_ptr<A>();
    in.down_b = inputs[next++].const_data_ptr<A>();
  }
  in.rank = inputs.back().size(0) / setting.pairs.experts;  // a B is always the last
  return in;
}

class MixFfn : public torch::autograd::Function<MixFfn> {
 public:
  static variable_list forward(AutogradContext* context,
                               at::TensorList given,
                               const std::shared_ptr<Setting>& setting) {
    const nn::PartScope scope(nn::Part::kAdapterGemm, nn::Direction::kForward);
    variable_list inputs = given.vec();
    const at::Tensor &x = inputs[kX], &weights = inputs[kWeights];
    const int64_t pairs = setting->pairs.size();
    const int64_t rank = inputs.back().size(1) / setting->pairs.experts;
    const at::Tensor narrow =
        at::empty({pairs, static_cast<int64_t>(setting->targets.size()) * rank}, weights.options());
    const at::Tensor down_narrow =
        at::empty({setting->has_down ? pairs : 0, rank}, weights.options());
    variable_list outputs = {at::empty_like(inputs[kGate])};
    if (setting->has_down) outputs.push_back(at::empty_like(x));
    const variable_list read = contiguous(transpose_ups(inputs, *setting));
    nn::dispatch_dtype(x, [&](auto tag) {
      using T = typename decltype(tag)::type;
      using A = nn::accumulate_t<T>;
      ffn_forward<T>(make_input<T>(read, *setting),
                     {narrow.data_ptr<A>(), down_narrow.data_ptr<A>()}, outputs[0].data_ptr<T>(),
                     setting->has_down ? outputs[1].data_ptr<T>() : nullptr);
    });
    inputs.push_back(narrow);
    inputs.push_back(down_narrow);
    context->save_for_backward(std::move(inputs));
    context->saved_data["setting"] = c10::IValue::make_capsule(c10::make_intrusive<Kept>(setting));
    return outputs;
  }

  static variable_list backward(AutogradContext* context, variable_list dys) {
    const nn::PartScope scope(nn::Part::kAdapterGemm, nn::Direction::kBackward);
    variable_list inputs = context->get_saved_variables();
    const auto kept =
        c10::static_intrusive_pointer_cast<Kept>(context->saved_data["setting"].toCapsule());
    const Setting& setting = *kept->setting;
    const at::Tensor down_narrow = std::move(inputs.back());
    inputs.pop_back();
    const at::Tensor narrow = std::move(inputs.back());
    inputs.pop_back();
    inputs = contiguous(transpose_ups(std::move(inputs), setting));
    variable_list result;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const bool is_wanted = i >= kGate && i <= kWeights;  // the kernel writes them in any case
      result.emplace_back();
      if (is_wanted || context->needs_input_grad(i))
        result[i] = i >= kFactors ? at::zeros_like(inputs[i]) : at::empty_like(inputs[i]);
    }
    if (setting.targets.empty()) result[kX] = at::Tensor();
    const at::Tensor dmixed = dys[0].contiguous();
    const at::Tensor dlow = setting.has_down ? dys[1].contiguous() : at::Tensor();
    nn::dispatch_dtype(dmixed, [&](auto tag) {
      using T = typename decltype(tag)::type;
      using A = nn::accumulate_t<T>;
      FfnGradients<T> g;
      const auto factor = [&](size_t i) {
        return result[i].defined() ? result[i].data_ptr<A>() : nullptr;
      };
      if (result[kX].defined()) g.dx = result[kX].data_ptr<T>();
      g.dgate = result[kGate].data_ptr<T>();
      g.dup = result[kUp].data_ptr<T>();
      g.dweights = result[kWeights].data_ptr<A>();
      size_t next = kFactors;
      if (!setting.targets.empty()) {
        g.da = factor(next++);
        for (size_t p = 0; p < setting.targets.size(); ++p) g.db.push_back(factor(next++));
      }
      if (setting.has_down) {
        g.ddown_a = factor(next++);
        g.ddown_b = factor(next++);
      }
      ffn_backward<T>(make_input<T>(inputs, setting),
                      {narrow.data_ptr<A>(), down_narrow.data_ptr<A>()}, dmixed.const_data_ptr<T>(),
                      setting.has_down ? dlow.const_data_ptr<T>() : nullptr, g);
    });
    result = transpose_ups(std::move(result), setting);
    result.emplace_back();  // setting
    return result;
  }

 private:
  struct Kept : torch::CustomClassHolder {
    explicit Kept(std::shared_ptr<Setting> given) : setting(std::move(given)) {}
    std::shared_ptr<Setting> setting;
  };
};

}  // namespace

MixedFfn mix_ffn(const at::Tensor& x,
                 const at::Tensor& gate,
                 const at::Tensor& up,
                 const at::Tensor& weights,
                 const FfnFactors& factors,
                 nn::GatedActivation activation,
                 const DropoutMask& dropout) {
  if (!x.device().is_cpu())
    return with_aten::mix_ffn(x, gate, up, weights, factors, activation, dropout);
  const at::ScalarType wide = nn::accumulate_dtype(x.scalar_type());
  const auto typed = [&](const at::Tensor& tensor) { return tensor.to(wide).contiguous(); };
  std::vector<at::Tensor> inputs = {x.contiguous(), gate.contiguous(), up.contiguous(),
                                    typed(weights)};
  if (factors.gate_up_a.defined()) inputs.push_back(typed(factors.gate_up_a));
  for (const at::Tensor& b : factors.gate_up_b) inputs.push_back(b.to(wide));
  if (factors.down_a.defined()) {
    inputs.push_back(typed(factors.down_a));
    inputs.push_back(factors.down_b.to(wide));
  }
  auto setting = std::make_shared<Setting>(
      Setting{factors.gate_up_targets, factors.scaling, activation, dropout,
              factors.down_a.defined(), sort_pairs(inputs[kWeights], lanes_for(x.size(0)))});
  const variable_list outputs = MixFfn::apply(at::TensorList(inputs), setting);
  return {outputs[0], factors.down_a.defined() ? outputs[1] : at::Tensor()};
}

}  // namespace lmoe::mixture
