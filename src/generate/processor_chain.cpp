#include "generate/logits_processor.h"
#include "generate/min_p.h"
#include "generate/repetition_penalty.h"
#include "generate/temperature.h"
#include "generate/top_k.h"
#include "generate/top_p.h"

namespace lmoe::generate {

ProcessorChain make_processor_chain(const SampleOptions& options) {
  ProcessorChain chain;
  if (options.repetition_penalty != 1.0)
    chain.push_back(std::make_unique<RepetitionPenalty>(options.repetition_penalty));
  if (options.is_greedy()) return chain;
  if (options.temperature != 1.0)
    chain.push_back(std::make_unique<Temperature>(options.temperature));
  if (options.top_k > 0) chain.push_back(std::make_unique<TopK>(options.top_k));
  if (options.top_p < 1.0) chain.push_back(std::make_unique<TopP>(options.top_p));
  if (options.min_p > 0.0) chain.push_back(std::make_unique<MinP>(options.min_p));
  return chain;
}

}  // namespace lmoe::generate
