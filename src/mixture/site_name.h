// Names of sites, as messages, checkpoints and the router log write them.
#pragma once

#include <string>
#include <vector>

namespace lmoe::mixture {

/// "layers.3.self_attn", the site of a block gate.
inline std::string block_site(int layer, const std::string& block) {
  return "layers." + std::to_string(layer) + "." + block;
}

/// "layers.3.self_attn.q_proj", "layers.3.self_attn.k_proj" -> "layers.3.self_attn.q_proj+k_proj":
/// what a tensor stacked over several sites is called.
inline std::string join_sites(const std::vector<std::string>& sites) {
  std::string joined;
  for (const std::string& site : sites) {
    if (joined.empty())
      joined = site;
    else
      joined.append("+").append(site, site.rfind('.') + 1);
  }
  return joined;
}

}  // namespace lmoe::mixture
