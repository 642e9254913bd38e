#include <set>

#include "base/checked.h"
#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "io/safetensors.h"
#include "io/safetensors_header.h"

namespace lmoe::io {
namespace {

std::string header_text(const fs::path& path,
                        const std::vector<TensorView>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  const std::string where = "[safetensors] " + path.string() + ": ";
  std::set<std::string> names = {"__metadata__"};
  // Appended text: our JSON type would search all keys at every insertion.
  std::string text = "{";
  if (!metadata.empty()) text += "\"__metadata__\":" + Json(metadata).dump();
  uint64_t offset = 0;
  for (const TensorView& tensor : tensors) {
    LMOE_CHECK_ARG(names.insert(tensor.name).second, where, "cannot write two tensors called \"",
                   tensor.name, "\"");
    LMOE_CHECK_ARG(!is_quantised(tensor.dtype), where, "tensor \"", tensor.name, "\" has type ",
                   dtype_name(tensor.dtype), ", which safetensors does not have");
    const uint64_t size =
        checked_mul(static_cast<uint64_t>(tensor.elements()),
                    static_cast<uint64_t>(block_bytes(tensor.dtype)), "size of a tensor");
    LMOE_CHECK_ARG(size == tensor.bytes.size(), where, "tensor \"", tensor.name, "\" ",
                   tensor.shape_text(), ": given ", tensor.bytes.size(), " bytes, expected ", size);
    const Json entry = {{"dtype", dtype_name(tensor.dtype)},
                        {"shape", tensor.shape},
                        {"data_offsets", {offset, offset + size}}};
    text += (text.size() > 1 ? "," : "") + Json(tensor.name).dump() + ":" + entry.dump();
    offset += size;
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data starts aligned
  LMOE_CHECK_ARG(text.size() <= kMaxSafetensorsHeader, where,
                 "too many tensors: the header would have ", text.size(),
                 " bytes, expected at most ", kMaxSafetensorsHeader);
  return text;
}

}  // namespace

void write_safetensors(const fs::path& path,
                       const std::vector<TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::string header;
  try {
    header = header_text(path, tensors, metadata);
  } catch (const Json::type_error&) {
    fail(ErrorCode::kInvalidArgument, "[safetensors] ", path.string(),
         ": a name or metadata text is not UTF-8");
  }
  const uint64_t length = header.size();
  std::vector<std::string_view> parts = {{reinterpret_cast<const char*>(&length), sizeof(length)},
                                         header};
  for (const TensorView& tensor : tensors)
    parts.emplace_back(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
  write_file_atomically(path, parts);
}

}  // namespace lmoe::io
