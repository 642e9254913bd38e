#include "io/byte_size.h"

#include <optional>

#include "base/checked.h"

namespace lmoe::io {

uint64_t byte_size(const TensorView& view, const std::string& where) {
  std::optional<uint64_t> size = 1;
  for (const int64_t dimension : view.shape)
    size = size ? try_mul(*size, static_cast<uint64_t>(dimension)) : std::nullopt;
  if (size)
    size = try_mul(*size / static_cast<uint64_t>(block_elements(view.dtype)),
                   static_cast<uint64_t>(block_bytes(view.dtype)));
  LMOE_CHECK_DATA(size && *size <= static_cast<uint64_t>(INT64_MAX), where, "given shape ",
                  view.shape_text(), " of ", dtype_name(view.dtype),
                  ", expected one whose bytes can be counted; hint: is the file corrupt?");
  return *size;
}

}  // namespace lmoe::io
