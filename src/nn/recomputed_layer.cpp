#include "nn/recomputed_layer.h"

#include <ATen/ATen.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace lmoe::nn {
namespace {

/// What a layer leaves behind besides what it kept for its backward.
struct Outcome {
  at::Tensor hidden;
  RouterLog log;
  std::map<const void*, at::Tensor> new_gates;  ///< and those it replaced
};

/// Those tensors of an outcome that have a gradient, always in the same order.
std::vector<at::Tensor*> differentiable(Outcome& outcome) {
  std::vector<at::Tensor*> all = {&outcome.hidden};
  for (GateRecord& record : outcome.log.records)
    for (at::Tensor* tensor :
         {&record.probabilities, &record.weights, &record.logits, &record.log_draw, &record.input})
      all.push_back(tensor);
  for (auto& [gate, weights] : outcome.new_gates) all.push_back(&weights);
  std::erase_if(
      all, [](const at::Tensor* tensor) { return !tensor->defined() || !tensor->requires_grad(); });
  return all;
}

/// A layer and the surroundings it is run in, as often as needed.
struct LayerRun : torch::CustomClassHolder {
  LayerRun(const DecoderLayer& decoder_layer,
           const RopeTable& rope_table,
           const ForwardContext& context)
      : layer(&decoder_layer), rope(rope_table), surroundings(context) {
    has_log = context.router_log != nullptr;
    keeps_inputs = has_log && context.router_log->keeps_inputs;
    if (context.dropout_rng != nullptr) draws = context.dropout_rng->state();
    for (const auto& [gate, weights] : context.shared_gates) gates.push_back(gate);
    surroundings.router_log = nullptr;
    surroundings.shared_gates.clear();
  }

  /// `inputs`: the hidden states, then one tensor for each of `gates`; more are not looked at.
  Outcome run(at::TensorList inputs, Rng* rng) const {
    Outcome outcome;
    outcome.log.keeps_inputs = keeps_inputs;
    outcome.log.segments = surroundings.segments;
    ForwardContext context = surroundings;
    context.dropout_rng = rng;
    if (has_log) context.router_log = &outcome.log;
    for (size_t i = 0; i < gates.size(); ++i) context.shared_gates[gates[i]] = inputs[i + 1];
    outcome.hidden = layer->forward(inputs[0], rope, context);
    for (size_t i = 0; i < gates.size(); ++i)
      if (context.shared_gates[gates[i]].is_same(inputs[i + 1]))
        context.shared_gates.erase(gates[i]);
    outcome.new_gates = std::move(context.shared_gates);
    return outcome;
  }

  const DecoderLayer* layer;
  RopeTable rope;
  ForwardContext surroundings;
  bool has_log = false, keeps_inputs = false;
  std::optional<Rng::State> draws;  ///< of the generator before the layer
  std::vector<const void*> gates;   ///< those that earlier layers shared
};

/// Leaves of a graph of their own.
std::vector<at::Tensor> cut_off(at::TensorList tensors, size_t count) {
  std::vector<at::Tensor> leaves;
  for (size_t i = 0; i < count; ++i)
    leaves.push_back(tensors[i].detach().set_requires_grad(tensors[i].requires_grad()));
  return leaves;
}

class RecomputedLayer : public torch::autograd::Function<RecomputedLayer> {
 public:
  /// `inputs`: hidden states, gates, everything that is trained. `outcome` receives what the layer
  /// leaves, cut off from its graph.
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context,
                                                at::TensorList inputs,
                                                const c10::intrusive_ptr<LayerRun>& run,
                                                Outcome* outcome) {
    const size_t entering = 1 + run->gates.size();
    context->set_materialize_grads(false);
    context->saved_data["run"] = c10::IValue::make_capsule(run);
    context->save_for_backward(
        torch::autograd::variable_list(inputs.begin(), inputs.begin() + entering));
    {
      // With the graph that is thrown away at once: the same operations as in the backward.
      const at::AutoGradMode enable(true);
      *outcome = run->run(cut_off(inputs, entering), run->surroundings.dropout_rng);
    }
    torch::autograd::variable_list outputs;
    for (const at::Tensor* tensor : differentiable(*outcome)) outputs.push_back(tensor->detach());
    return outputs;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const auto run =
        c10::static_intrusive_pointer_cast<LayerRun>(context->saved_data["run"].toCapsule());
    const std::vector<at::Tensor>& trained = *run->surroundings.recompute_for;
    const auto saved = context->get_saved_variables();
    const bool is_asked = std::any_of(grads.begin(), grads.end(),
                                      [](const at::Tensor& grad) { return grad.defined(); });
    if (!is_asked) return torch::autograd::variable_list(saved.size() + trained.size() + 2);
    const at::AutoGradMode enable(true);
    std::vector<at::Tensor> inputs = cut_off(saved, saved.size());
    Rng rng(0);
    if (run->draws) rng.set_state(*run->draws);
    Outcome outcome = run->run(inputs, run->draws ? &rng : nullptr);

    torch::autograd::variable_list roots, root_grads, wanted;
    const std::vector<at::Tensor*> outputs = differentiable(outcome);
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!grads[i].defined()) continue;
      roots.push_back(*outputs[i]);
      root_grads.push_back(grads[i]);
    }
    inputs.insert(inputs.end(), trained.begin(), trained.end());
    for (const at::Tensor& input : inputs)
      if (input.requires_grad()) wanted.push_back(input);
    const auto found =
        torch::autograd::grad(roots, wanted, root_grads, /*retain_graph=*/std::nullopt,
                              /*create_graph=*/false, /*allow_unused=*/true);
    torch::autograd::variable_list result;
    size_t next = 0;
    for (const at::Tensor& input : inputs)
      result.push_back(input.requires_grad() ? found[next++] : at::Tensor());
    result.resize(inputs.size() + 2);  // none for the run and the outcome
    return result;
  }
};

}  // namespace

at::Tensor forward_recomputed(const DecoderLayer& layer,
                              const at::Tensor& hidden,
                              const RopeTable& rope,
                              ForwardContext& context) {
  const auto run = c10::make_intrusive<LayerRun>(layer, rope, context);
  std::vector<at::Tensor> inputs = {hidden};
  for (const void* gate : run->gates) inputs.push_back(context.shared_gates[gate]);
  inputs.insert(inputs.end(), context.recompute_for->begin(), context.recompute_for->end());
  Outcome outcome;
  const auto outputs = RecomputedLayer::apply(at::TensorList(inputs), run, &outcome);
  const std::vector<at::Tensor*> slots = differentiable(outcome);
  for (size_t i = 0; i < slots.size(); ++i) *slots[i] = outputs[i];
  if (context.router_log != nullptr)
    for (GateRecord& record : outcome.log.records)
      context.router_log->records.push_back(std::move(record));
  for (auto& [gate, weights] : outcome.new_gates) context.shared_gates[gate] = std::move(weights);
  return outcome.hidden;
}

}  // namespace lmoe::nn
