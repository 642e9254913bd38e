#include <algorithm>

#include "arch/family.h"
#include "base/error.h"
#include "base/nearest.h"

namespace lmoe::arch {
namespace {

/// Refused by name: their tensors would not be understood.
bool is_mixture_of_experts(const std::string& name) {
  static const std::vector<std::string> kNames = {
      "mixtral",      "qwen2_moe", "qwen2moe",    "qwen3_moe",      "qwen3moe", "olmoe",
      "deepseek",     "deepseek2", "deepseek_v2", "deepseek_v3",    "phimoe",   "granitemoe",
      "gpt_oss",      "gpt-oss",   "llama4",      "jetmoe",         "dbrx",     "jamba",
      "ernie4_5_moe", "glm4_moe",  "glm4moe",     "hunyuan_v1_moe", "minimax",  "grok"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

[[noreturn]] void refuse(const std::string& name,
                         const std::vector<std::string>& known,
                         const std::string& where) {
  if (is_mixture_of_experts(name))
    fail(ErrorCode::kUnsupported, where, ": \"", name,
         "\" is a mixture of experts, which is not built as a base yet");
  std::string list;
  for (const std::string& item : known) list += (list.empty() ? "" : ", ") + item;
  const std::string nearest = nearest_name(name, known);
  fail(ErrorCode::kUnsupported, where, ": given \"", name, "\", expected one of ", list,
       nearest.empty() ? "" : "; nearest is \"" + nearest + "\"");
}

}  // namespace

const std::vector<Family>& families() {
  static const std::vector<Family> kFamilies = {llama_family(), mistral_family(), qwen2_family(),
                                                qwen3_family(), gemma2_family()};
  return kFamilies;
}

const Family& family_of_model_type(const std::string& model_type, const std::string& where) {
  std::vector<std::string> known;
  for (const Family& family : families()) {
    if (family.model_type == model_type) return family;
    known.emplace_back(family.model_type);
  }
  refuse(model_type, known, where);
}

const Family& family_of_gguf(const std::string& architecture, const std::string& where) {
  std::vector<std::string> known;
  for (const Family& family : families()) {
    if (family.gguf_architecture == nullptr) continue;
    if (family.gguf_architecture == architecture) return family;
    known.emplace_back(family.gguf_architecture);
  }
  refuse(architecture, known, where);
}

}  // namespace lmoe::arch
