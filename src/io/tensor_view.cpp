#include "io/tensor_view.h"

#include <array>

#include "base/checked.h"
#include "kernels/decode_blocks.h"

namespace lmoe::io {
namespace {

struct DTypeInfo {
  const char* name;
  int64_t elements;
  int64_t bytes;
};

template <class Layout>
constexpr DTypeInfo blocks_of(const char* name) {
  return {name, Layout::kElements, Layout::kBytes};
}

constexpr std::array<DTypeInfo, 18> kTypes = {{
    {"F64", 1, 8},
    {"F32", 1, 4},
    {"F16", 1, 2},
    {"BF16", 1, 2},
    {"I64", 1, 8},
    {"I32", 1, 4},
    {"I16", 1, 2},
    {"I8", 1, 1},
    {"U8", 1, 1},
    {"BOOL", 1, 1},
    blocks_of<kernels::Q4_0>("Q4_0"),
    blocks_of<kernels::Q4_1>("Q4_1"),
    blocks_of<kernels::Q5_0>("Q5_0"),
    blocks_of<kernels::Q5_1>("Q5_1"),
    blocks_of<kernels::Q8_0>("Q8_0"),
    blocks_of<kernels::Q4_K>("Q4_K"),
    blocks_of<kernels::Q5_K>("Q5_K"),
    blocks_of<kernels::Q6_K>("Q6_K"),
}};
static_assert(static_cast<size_t>(DType::kQ6_K) + 1 == kTypes.size());

const DTypeInfo& info(DType dtype) { return kTypes.at(static_cast<size_t>(dtype)); }

}  // namespace

const char* dtype_name(DType dtype) { return info(dtype).name; }
int64_t block_elements(DType dtype) { return info(dtype).elements; }
int64_t block_bytes(DType dtype) { return info(dtype).bytes; }

int64_t TensorView::elements() const {
  uint64_t count = 1;
  for (const int64_t size : shape)
    count = checked_mul(count, checked_cast<uint64_t>(size, "dimension"), "number of elements");
  return checked_cast<int64_t>(count, "number of elements");
}

std::string TensorView::shape_text() const { return io::shape_text(shape); }

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += shape[i] < 0 ? "any" : std::to_string(shape[i]);
  }
  return text + "]";
}

}  // namespace lmoe::io
