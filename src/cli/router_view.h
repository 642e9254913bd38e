// Which experts spoke: an answer's routing as text for a terminal.
#pragma once

#include <string>
#include <vector>

#include "decode/step_model.h"
#include "eval/samples.h"

namespace lmoe::cli {

/// A line per expert (mean weight, share of tokens it led, a bar), then the answer with each token
/// coloured by its expert, or marked "text[expert]" without colours. Empty tokens are left out.
std::string router_view(const decode::RouterInfo& router,
                        const std::vector<eval::SampleToken>& tokens,
                        bool colours);

}  // namespace lmoe::cli
