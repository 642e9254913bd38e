#include "io/gguf_tensors.h"

#include <algorithm>
#include <limits>
#include <map>

#include "base/error.h"
#include "io/byte_size.h"

namespace lmoe::io {
namespace {

constexpr uint32_t kMaxDimensions = 4;
constexpr uint64_t kMaxNameBytes = 1024;

/// A tensor as described: its bytes are known only when all descriptions are read.
struct Described {
  TensorView view;
  uint64_t offset = 0;
};

DType dtype_of(uint32_t id, const std::string& where) {
  static const std::map<uint32_t, DType> kKnown = {
      {0, DType::kF32},   {1, DType::kF16},   {2, DType::kQ4_0}, {3, DType::kQ4_1},
      {6, DType::kQ5_0},  {7, DType::kQ5_1},  {8, DType::kQ8_0}, {12, DType::kQ4_K},
      {13, DType::kQ5_K}, {14, DType::kQ6_K}, {24, DType::kI8},  {25, DType::kI16},
      {26, DType::kI32},  {27, DType::kI64},  {28, DType::kF64}, {30, DType::kBF16},
  };
  static const std::map<uint32_t, const char*> kUnbuilt = {
      {9, "Q8_1"},     {10, "Q2_K"},   {11, "Q3_K"},    {15, "Q8_K"},
      {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"},
      {20, "IQ4_NL"},  {21, "IQ3_S"},  {22, "IQ2_S"},   {23, "IQ4_XS"},
      {29, "IQ1_M"},   {34, "TQ1_0"},  {35, "TQ2_0"},   {39, "MXFP4"},
  };
  const auto known = kKnown.find(id);
  if (known != kKnown.end()) return known->second;
  const auto unbuilt = kUnbuilt.find(id);
  if (unbuilt != kUnbuilt.end()) {
    fail(ErrorCode::kUnsupported, where, "type ", unbuilt->second,
         " is not dequantised; use a file of type F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, "
         "Q4_K, Q5_K or Q6_K");
  }
  fail(ErrorCode::kCorruptData, where, "unknown type ", id);
}

/// Dimensions come fastest first; PyTorch order is the reverse.
std::vector<int64_t> read_shape(ByteReader& reader, const std::string& where) {
  const auto count = reader.read<uint32_t>("number of dimensions");
  LMOE_CHECK_DATA(count >= 1 && count <= kMaxDimensions, where, "number of dimensions: given ",
                  count, ", expected 1 to ", kMaxDimensions);
  std::vector<int64_t> shape(count);
  for (uint32_t i = 0; i < count; ++i) {
    const auto size = reader.read<uint64_t>("dimension");
    LMOE_CHECK_DATA(size >= 1 && size <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()),
                    where, "dimension ", i, ": given ", static_cast<int64_t>(size),
                    ", expected a positive number");
    shape[count - 1 - i] = static_cast<int64_t>(size);
  }
  return shape;
}

Described read_description(ByteReader& reader) {
  Described tensor;
  TensorView& view = tensor.view;
  view.name = reader.read_string("name of a tensor");
  LMOE_CHECK_DATA(!view.name.empty() && view.name.size() <= kMaxNameBytes, "[gguf] ", reader.name(),
                  ": a tensor's name has ", view.name.size(), " bytes, expected 1 to ",
                  kMaxNameBytes);
  const std::string where = "[gguf] " + reader.name() + ": tensor \"" + view.name + "\": ";
  view.shape = read_shape(reader, where);
  view.dtype = dtype_of(reader.read<uint32_t>("type of a tensor"), where);
  LMOE_CHECK_DATA(view.shape.back() % block_elements(view.dtype) == 0, where, "rows of ",
                  view.shape.back(), " elements cannot be of type ", dtype_name(view.dtype),
                  ", whose blocks have ", block_elements(view.dtype));
  tensor.offset = reader.read<uint64_t>("offset of a tensor");
  return tensor;
}

void place(Described& tensor,
           std::span<const std::byte> data,
           uint64_t alignment,
           const std::string& file) {
  TensorView& view = tensor.view;
  const std::string where = "[gguf] " + file + ": tensor \"" + view.name + "\": ";
  const uint64_t size = byte_size(view, where);
  LMOE_CHECK_DATA(tensor.offset % alignment == 0, where, "offset ", tensor.offset,
                  " is not a multiple of ", alignment);
  LMOE_CHECK_DATA(tensor.offset <= data.size() && size <= data.size() - tensor.offset, where, size,
                  " bytes at offset ", tensor.offset, " go beyond the ", data.size(),
                  " bytes of data in the file; is the file truncated?");
  view.bytes = data.subspan(tensor.offset, size);
}

void check_no_overlap(const TensorTable& table, const std::string& file) {
  std::vector<const TensorView*> sorted;
  for (const TensorView& tensor : table.tensors()) sorted.push_back(&tensor);
  std::sort(sorted.begin(), sorted.end(), [](const TensorView* a, const TensorView* b) {
    return a->bytes.data() < b->bytes.data();
  });
  for (size_t i = 1; i < sorted.size(); ++i) {
    LMOE_CHECK_DATA(
        sorted[i - 1]->bytes.data() + sorted[i - 1]->bytes.size() <= sorted[i]->bytes.data(),
        "[gguf] ", file, ": tensors \"", sorted[i - 1]->name, "\" and \"", sorted[i]->name,
        "\" overlap");
  }
}

}  // namespace

TensorTable read_gguf_tensors(ByteReader& reader, uint64_t count, uint64_t alignment) {
  std::vector<Described> described;
  for (uint64_t i = 0; i < count; ++i) described.push_back(read_description(reader));
  std::span<const std::byte> data;
  if (count > 0) {
    const uint64_t padding = (alignment - reader.position() % alignment) % alignment;
    reader.take(padding, "padding before the tensors");
    data = reader.take(reader.remaining(), "tensors");
  }
  TensorTable table;
  for (Described& tensor : described) {
    place(tensor, data, alignment, reader.name());
    LMOE_CHECK_DATA(table.add(tensor.view), "[gguf] ", reader.name(), ": two tensors are called \"",
                    tensor.view.name, "\"");
  }
  check_no_overlap(table, reader.name());
  return table;
}

}  // namespace lmoe::io
