// Looking into files and folders of every kind lmoe reads.
#pragma once

#include <string>

#include "base/json.h"

namespace lmoe::cli {

/// Finds out what `path` is (run, PEFT adapter, base model, safetensors, GGUF,
/// name of a known model) and describes it. Throws kNotFound, kCorruptData.
Json inspect(const std::string& path, bool with_tensors);

/// The same for people: one line per fact, tensors as a table.
std::string inspection_text(const Json& inspection);

}  // namespace lmoe::cli
