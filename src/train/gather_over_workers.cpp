#include "train/gather_over_workers.h"

#include <ATen/ATen.h>

#include "distributed/all_or_none.h"
#include "distributed/sum_in_buckets.h"

namespace lmoe::train {
namespace {

/// Adds up the numbers of the result, and by the way counts the workers in which each parameter has
/// a gradient.
std::vector<double> sum_numbers(distributed::ProcessGroup& group,
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
  return {numbers.begin() + static_cast<std::ptrdiff_t>(places.size()), numbers.end()};
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
  step.worker = group.rank();
  step.workers = group.size();
  GradientResult result;
  distributed::all_or_none(group, [&] { result = gather_gradients(step); });
  if (group.size() == 1) return result;

  std::vector<double> stop = {result.interrupted ? 1.0 : 0.0};
  group.sum(stop);
  result.interrupted = stop[0] > 0.0;
  if (result.interrupted) return result;

  const std::vector<double> owners = sum_numbers(group, result, parameters);
  std::vector<at::Tensor> tensors = chosen(step.mixture, result.selections);
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (owners[i] == 0.0) continue;  // no worker has one: the optimizer leaves it as it is
    at::Tensor& gradient = at::Tensor(parameters[i].tensor).mutable_grad();
    if (!gradient.defined()) gradient = at::zeros_like(parameters[i].tensor.detach());
    tensors.push_back(gradient);
  }
  distributed::sum_in_buckets(group, tensors);
  return result;
}

}  // namespace lmoe::train
