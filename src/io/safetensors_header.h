// The JSON header of a safetensors file, parsed without building a tree and checked against the
// file's size.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "io/tensor_view.h"

namespace lmoe::io {

/// Longest header that the format allows, in bytes.
inline constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;

struct SafetensorsHeader {
  std::vector<TensorView> tensors;  ///< in the order of the header, with their bytes
  std::map<std::string, std::string> metadata;
};

/// `file` is the whole file, `name` is for messages. Throws kCorruptData, kUnsupported (element
/// type).
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file,
                                           const std::string& name);

}  // namespace lmoe::io
