// A decoder family: how its configuration is read. Listed explicitly in families.cpp.
#pragma once

#include <string>
#include <vector>

#include "arch/config_reader.h"
#include "arch/model_config.h"

namespace lmoe::arch {

struct Family {
  const char* model_type;  ///< of config.json
  ModelConfig (*from_huggingface)(const HuggingFaceConfig& config);
  const char* gguf_architecture;  ///< null when GGUF files of this family name another one
  ModelConfig (*from_gguf)(const GgufConfig& config);
  bool gguf_rows_interleaved = false;  ///< rows of q and k are permuted in GGUF
  bool gguf_norms_plus_one = false;    ///< norms are stored with the one added in GGUF
};

Family llama_family();
Family mistral_family();
Family qwen2_family();
Family qwen3_family();
Family gemma2_family();

const std::vector<Family>& families();
/// Throws kUnsupported naming what is known.
const Family& family_of_model_type(const std::string& model_type, const std::string& where);
/// Throws kUnsupported naming what is known.
const Family& family_of_gguf(const std::string& architecture, const std::string& where);

}  // namespace lmoe::arch
