#include "train/gather_over_workers.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "distributed/all_or_none.h"
#include "distributed/sum_in_buckets.h"
#include "distributed/sum_of_gradients.h"

namespace lmoe::train {
namespace {

/// The lowest layer that a parameter's name speaks of; -1 for what all of them share.
int lowest_layer(std::string_view name) {
  constexpr std::string_view kLayers = "layers.";
  int lowest = -1;
  for (size_t found = name.find(kLayers); found != name.npos; found = name.find(kLayers, found)) {
    found += kLayers.size();
    const int layer = std::atoi(std::string(name.substr(found, 9)).c_str());
    lowest = lowest < 0 ? layer : std::min(lowest, layer);
  }
  return lowest;
}

/// Those that learn now, as the backward is done with their gradients: from the last layer to the
/// first, then what all layers share. A function of the names: sums of three workers depend on it.
std::vector<nn::NamedTensor> in_order_of_backward(std::vector<nn::NamedTensor> parameters) {
  std::erase_if(parameters, [](const nn::NamedTensor& one) { return !one.tensor.requires_grad(); });
  std::reverse(parameters.begin(), parameters.end());
  std::stable_sort(parameters.begin(), parameters.end(),
                   [](const nn::NamedTensor& a, const nn::NamedTensor& b) {
                     return lowest_layer(a.name) > lowest_layer(b.name);
                   });
  return parameters;
}

/// Adds up the numbers of the result; says by the way which parameters have a gradient in any
/// worker.
std::vector<bool> sum_numbers(distributed::ProcessGroup& group,
                              GradientResult& result,
                              const std::vector<nn::NamedTensor>& parameters) {
  std::vector<double*> places = {&result.loss};
  for (auto& [name, value] : result.balance) places.push_back(&value);
  for (double* sum : result.router.sums()) places.push_back(sum);
  std::vector<double> numbers;
  for (const double* place : places) numbers.push_back(*place);
  for (const nn::NamedTensor& parameter : parameters)
    numbers.push_back(parameter.tensor.grad().defined() ? 1.0 : 0.0);
  group.sum(numbers);
  for (size_t i = 0; i < places.size(); ++i) *places[i] = numbers[i];
  std::vector<bool> has_gradient;
  for (size_t i = places.size(); i < numbers.size(); ++i) has_gradient.push_back(numbers[i] > 0.0);
  return has_gradient;
}

/// The counts of all gates that have some; sharing memory.
std::vector<at::Tensor> chosen(const mixture::Mixture& mixture,
                               const mixture::SelectionCounts& counts) {
  std::vector<at::Tensor> tensors;
  for (const mixture::SiteInfo& site : mixture.sites())
    if (const at::Tensor count = counts.of(site.name); count.defined()) tensors.push_back(count);
  return tensors;
}

}  // namespace

GradientResult gather_over_workers(distributed::ProcessGroup& group,
                                   GradientStep step,
                                   const std::vector<nn::NamedTensor>& parameters) {
  if (group.size() == 1) return gather_gradients(step);
  step.worker = group.rank();
  step.workers = group.size();
  const std::vector<nn::NamedTensor> ordered = in_order_of_backward(parameters);
  std::vector<at::Tensor> tensors;
  for (const nn::NamedTensor& parameter : ordered) tensors.push_back(parameter.tensor);
  std::optional<distributed::SumOfGradients> gradients;
  distributed::all_or_none(group, [&] { gradients.emplace(group, std::move(tensors)); });
  const std::function<void()> watch = [&] { gradients->watch(); };
  step.before_last_backward = &watch;

  GradientResult result;
  distributed::all_or_none(group, [&] {
    try {
      result = gather_gradients(step);
    } catch (...) {
      gradients->start_rest();
      throw;
    }
    gradients->start_rest();
  });
  std::vector<double> stop = {result.interrupted ? 1.0 : 0.0};
  group.sum(stop);
  result.interrupted = stop[0] > 0.0;
  if (result.interrupted) return result;

  // Those that no worker has: the optimizer leaves their parameters as they are.
  const std::vector<bool> has_gradient = sum_numbers(group, result, ordered);
  distributed::sum_in_buckets(group, chosen(step.mixture, result.selections));
  gradients->finish(has_gradient);
  return result;
}

}  // namespace lmoe::train
