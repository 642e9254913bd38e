#include "runner/step_routing.h"

#include <ATen/ATen.h>

#include <utility>

#include "base/error.h"

namespace lmoe::runner {

void copy_routing(const nn::RouterLog& log,
                  const decode::RouterInfo& router,
                  const std::vector<Piece>& pieces,
                  decode::StepOutput& output) {
  const size_t experts = router.expert_names.size(), sites = router.sites.size();
  LMOE_ASSERT(log.records.size() == sites);
  std::vector<at::Tensor> weights;
  for (const nn::GateRecord& record : log.records)
    weights.push_back(record.weights.to(at::kFloat).contiguous());
  size_t row = 0;
  for (const Piece& piece : pieces) {
    for (size_t t = 0; t < piece.count; ++t, ++row) {
      decode::TokenRouting routing;
      routing.weights.reserve(sites * experts);
      for (const at::Tensor& site : weights) {
        // Layers may have fewer experts than the mixture; those they lack have no weight.
        const auto own = static_cast<size_t>(site.size(1));
        const float* first = site.const_data_ptr<float>() + row * own;
        routing.weights.insert(routing.weights.end(), first, first + own);
        routing.weights.resize(routing.weights.size() + experts - own, 0.0F);
      }
      output.routing[piece.input].push_back(std::move(routing));
    }
  }
}

void copy_prompts(const nn::RouterLog& log,
                  const std::vector<Piece>& pieces,
                  const std::vector<nn::Segment>& segments,
                  decode::StepOutput& output) {
  int64_t begun = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (segments[i].past > 0) continue;
    const at::Tensor found = log.chosen_prompts[begun++].contiguous();
    const int64_t* first = found.const_data_ptr<int64_t>();
    output.prompts[pieces[i].input].assign(first, first + found.numel());
  }
}

}  // namespace lmoe::runner
