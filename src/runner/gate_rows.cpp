#include "runner/gate_rows.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace lmoe::runner {

mixture::GateRows gate_rows_for(const models::Decoder& decoder,
                                const mixture::Mixture& mixture,
                                std::span<const std::vector<int32_t>> sequences) {
  const c10::NoGradGuard no_grad;
  mixture::GateInputs inputs(mixture);
  for (const std::vector<int32_t>& ids : sequences) {
    if (ids.empty()) continue;
    nn::RouterLog log;
    log.keeps_inputs = true;
    nn::ForwardContext context;
    context.router_log = &log;
    const auto length = static_cast<int64_t>(ids.size());
    context.segments = {{.start = 0, .length = length, .prompt = length}};
    decoder.forward(at::tensor(ids, at::kInt).to(at::kLong), context);
    inputs.add(log);
  }
  return inputs.rows();
}

}  // namespace lmoe::runner
