#include "mixture/selection_counts.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace lmoe::mixture {

void SelectionCounts::add(const nn::RouterLog& log) {
  const c10::NoGradGuard no_grad;
  for (const nn::GateRecord& record : log.records) {
    if (!record.selected.defined()) continue;
    const at::Tensor chosen = record.selected.sum(/*dim=*/0, /*keepdim=*/false, at::kDouble);
    at::Tensor& total = counts_[record.site];
    total = total.defined() ? total + chosen : chosen;
  }
}

at::Tensor SelectionCounts::of(const std::string& site) const {
  const auto found = counts_.find(site);
  return found == counts_.end() ? at::Tensor() : found->second;
}

}  // namespace lmoe::mixture
