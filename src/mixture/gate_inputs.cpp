#include "mixture/gate_inputs.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "mixture/change_experts.h"
#include "mixture/copy_experts.h"

namespace lmoe::mixture {

GateInputs::GateInputs(const Mixture& mixture)
    : are_keys_(mixture.spec().gate.net == spec::GateNet::kCosine) {
  check_changeable(mixture.spec());
  for (const auto& gate : mixture.gates()) {
    const at::Tensor rows = gate_rows(*gate).detach();
    for (size_t s = 0; s < gate->sites().size(); ++s)
      sites_[gate->sites()[s].name] = {rows.select(0, static_cast<int64_t>(s)),
                                       at::zeros({gate->input_width()}, at::kDouble)};
  }
}

void GateInputs::add(const nn::RouterLog& log) {
  for (const nn::GateRecord& record : log.records) {
    LMOE_CHECK_ARG(record.input.defined(), "[experts] the router log keeps no inputs");
    Site& site = sites_.at(record.site);
    const at::Tensor input = record.input.detach().to(site.weight.scalar_type());
    site.sum += input.sum(/*dim=*/0, /*keepdim=*/false, at::kDouble);
    site.largest_sum += at::linear(input, site.weight).amax(/*dim=*/1).sum().item<double>();
    site.tokens += input.size(0);
  }
}

GateRows GateInputs::rows() const {
  GateRows rows;
  for (const auto& [name, site] : sites_) {
    const double square = (site.sum * site.sum).sum().item<double>();
    if (square == 0.0) continue;
    if (are_keys_) {
      rows[name] = site.sum / static_cast<double>(site.tokens);
      continue;
    }
    // l m / |m|^2 with m = sum / tokens and l = largest_sum / tokens
    rows[name] = site.sum * (site.largest_sum / square);
  }
  return rows;
}

}  // namespace lmoe::mixture
