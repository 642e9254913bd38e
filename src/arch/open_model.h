// The two kinds of files a base model comes in.
#pragma once

#include <filesystem>
#include <memory>

#include "arch/base_model.h"

namespace lmoe::arch {

std::unique_ptr<BaseModel> open_huggingface_folder(const std::filesystem::path& folder);
std::unique_ptr<BaseModel> open_gguf_file(const std::filesystem::path& file);

/// Every tensor the configuration asks for is there with its shape, and every other one is known to
/// be needless (rotary buffers, the head of a tied model). Throws kCorruptData naming the tensors.
void check_inventory(BaseModel& model);

}  // namespace lmoe::arch
