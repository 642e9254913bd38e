#include <algorithm>

#include "arch/family.h"
#include "arch/open_model.h"
#include "arch/tensor_names.h"
#include "arch/tokenizer_files.h"
#include "base/error.h"
#include "base/files.h"
#include "io/safetensors.h"
#include "io/strict_json.h"

namespace lmoe::arch {
namespace {

HuggingFaceConfig read_config(const fs::path& folder) {
  const fs::path path = folder / "config.json";
  HuggingFaceConfig config(io::read_json_file(path), path.string());
  if (config.has("quantization_config"))
    fail(ErrorCode::kUnsupported, config.where("quantization_config"),
         ": quantised Hugging Face checkpoints are not read; use the original weights or a GGUF "
         "file");
  return config;
}

/// generation_config.json often names more end-of-sequence ids than config.json.
void add_generation_eos(const fs::path& folder, ModelConfig& model) {
  const fs::path path = folder / "generation_config.json";
  if (!fs::exists(path)) return;
  const HuggingFaceConfig config(io::read_json_file(path), path.string());
  for (const int64_t id : config.token_ids("eos_token_id", model.vocab_size)) {
    auto& ids = model.eos_token_ids;
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  }
}

}  // namespace

std::unique_ptr<BaseModel> open_huggingface_folder(const fs::path& folder) {
  LMOE_CHECK_ARG(fs::exists(folder / "config.json"), "[load_base] ", folder.string(),
                 " has no config.json; expected a Hugging Face folder or a GGUF file");
  const HuggingFaceConfig config = read_config(folder);
  const Family& family =
      family_of_model_type(config.text("model_type"), config.where("model_type"));
  auto model = std::make_unique<BaseModel>();
  model->path = folder.string();
  model->config = family.from_huggingface(config);
  add_generation_eos(folder, model->config);
  model->source = io::open_safetensors_folder(folder);
  model->tensor_name = [settings = model->config](TensorRole role, int layer) {
    return huggingface_tensor_name(settings, role, layer);
  };
  check_inventory(*model);
  read_tokenizer_files(folder, *model);
  return model;
}

}  // namespace lmoe::arch
