// Names of a mixture's files in a run folder, and of its tensors in router.safetensors.
#pragma once

#include <filesystem>
#include <string>

namespace lmoe::mixture {

inline std::filesystem::path spec_file(const std::filesystem::path& folder) {
  return folder / "mixture.yaml";
}
inline std::filesystem::path router_file(const std::filesystem::path& folder) {
  return folder / "router.safetensors";
}
inline std::filesystem::path experts_folder(const std::filesystem::path& folder) {
  return folder / "experts";
}
/// What experts have besides A and B.
inline std::filesystem::path other_tensors_file(const std::filesystem::path& folder) {
  return folder / "experts.safetensors";
}
/// Keys and embeddings of a bank of prompts.
inline std::filesystem::path prompts_file(const std::filesystem::path& folder) {
  return folder / "prompts.safetensors";
}
/// "layers.3.self_attn.q_proj.gate.weight"
inline std::string router_tensor(const std::string& site, const std::string& suffix) {
  return site + ".gate." + suffix;
}

}  // namespace lmoe::mixture
