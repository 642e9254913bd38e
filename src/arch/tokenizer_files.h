// Tokenizer and chat template of a base model: from a folder's files or from GGUF metadata.
#pragma once

#include <filesystem>

#include "arch/base_model.h"
#include "io/gguf.h"

namespace lmoe::arch {

/// tokenizer.json, tokenizer_config.json, chat_template.jinja. Throws kNotFound, kCorruptData,
/// kUnsupported.
void read_tokenizer_files(const std::filesystem::path& folder, BaseModel& model);
/// Keys `tokenizer.*`; `file` must live as long as the model. Throws kCorruptData, kUnsupported.
void read_gguf_tokenizer(const io::GgufFile& file, BaseModel& model);

}  // namespace lmoe::arch
