// safetensors: u64 header length, JSON header, raw little-endian data. The reader is as strict as
// the Rust parser: header of at most 100 MB, offsets contiguous without holes or overlaps, the last
// tensor ends at the end of the file, span == product of shape x element size, no duplicate keys,
// known types only. 0-d and empty tensors are valid.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/weight_source.h"

namespace lmoe::io {

/// One mapped file. Throws kNotFound, kCorruptData.
class SafetensorsFile : public WeightSource {
 public:
  static std::unique_ptr<SafetensorsFile> open(const std::filesystem::path& path);
  /// The `__metadata__` object (text to text).
  virtual const std::map<std::string, std::string>& metadata() const = 0;
};

/// `model.safetensors` or the shards of `model.safetensors.index.json`: every shard present, no
/// tensor twice, none missing from or absent in the index, no paths out of the folder.
std::unique_ptr<WeightSource> open_safetensors_folder(const std::filesystem::path& folder);

/// Writes the tensors in the given order, aside and renamed. Throws kIo.
void write_safetensors(const std::filesystem::path& path,
                       const std::vector<TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace lmoe::io
