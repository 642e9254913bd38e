#include "io/safetensors_header.h"

#include <algorithm>
#include <optional>
#include <unordered_set>

#include "base/error.h"
#include "base/json.h"
#include "io/byte_reader.h"
#include "io/byte_size.h"
#include "io/strict_json.h"

namespace lmoe::io {
namespace {

constexpr size_t kMaxDimensions = 64;

struct Entry {
  std::string name;
  std::optional<std::string> dtype;
  std::optional<std::vector<uint64_t>> shape, offsets;
};

/// Receives the header's tokens. Depth 1 is the header, 2 a tensor or the metadata, 3 a list of
/// numbers.
class HeaderHandler : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderHandler(const std::string& file) : file_(file) {}

  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;

  bool start_object(size_t) override {
    if (++depth_ > 2) refuse("an object");
    if (depth_ == 2 && !in_metadata_) entries.push_back({key_, {}, {}, {}});
    return true;
  }
  bool end_object() override {
    if (--depth_ == 1 && !in_metadata_) {
      const Entry& entry = entries.back();
      LMOE_CHECK_DATA(entry.dtype && entry.shape && entry.offsets, prefix(), "tensor \"",
                      entry.name, "\" lacks dtype, shape or data_offsets");
    }
    return true;
  }
  bool key(std::string& name) override {
    if (depth_ == 1) {
      in_metadata_ = name == "__metadata__";
      LMOE_CHECK_DATA(names_.insert(name).second, prefix(), "key \"", name, "\" appears twice");
    } else if (!in_metadata_) {
      field_ = name;
      LMOE_CHECK_DATA(name == "dtype" || name == "shape" || name == "data_offsets", prefix(),
                      "tensor \"", entries.back().name, "\" has an unknown field \"", name, "\"");
    }
    key_ = name;
    return true;
  }
  bool string(std::string& value) override {
    if (depth_ == 2 && in_metadata_) {
      LMOE_CHECK_DATA(metadata.emplace(key_, value).second, prefix(), "metadata key \"", key_,
                      "\" appears twice");
    } else if (depth_ == 2 && field_ == "dtype") {
      set_once(entries.back().dtype, value);
    } else {
      refuse("text");
    }
    return true;
  }
  bool start_array(size_t) override {
    if (++depth_ != 3 || in_metadata_ || field_ == "dtype") refuse("a list");
    set_once(field_ == "shape" ? entries.back().shape : entries.back().offsets, {});
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool number_unsigned(uint64_t value) override {
    if (depth_ != 3) refuse("a number");
    auto& list = field_ == "shape" ? *entries.back().shape : *entries.back().offsets;
    LMOE_CHECK_DATA(list.size() < kMaxDimensions, prefix(), "tensor \"", entries.back().name,
                    "\" has more than ", kMaxDimensions, " dimensions");
    list.push_back(value);
    return true;
  }
  bool null() override {
    if (depth_ != 1 || !in_metadata_) refuse("null");
    return true;
  }
  bool boolean(bool) override { refuse("true or false"); }
  bool number_integer(int64_t) override { refuse("a negative number"); }
  bool number_float(double, const std::string&) override {
    refuse("a fractional or too large number");
  }
  bool binary(nlohmann::json::binary_t&) override { refuse("binary data"); }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) override {
    fail(ErrorCode::kCorruptData, prefix(), "header is not valid JSON at byte ", position);
  }

 private:
  std::string prefix() const { return "[safetensors] " + file_ + ": "; }

  [[noreturn]] void refuse(const char* given) const {
    fail(ErrorCode::kCorruptData, prefix(), "unexpected ", given, " in the header",
         key_.empty() ? std::string() : " at key \"" + key_ + "\"");
  }
  template <class T>
  void set_once(std::optional<T>& field, T value) const {
    LMOE_CHECK_DATA(!field, prefix(), "tensor \"", entries.back().name, "\" has \"", field_,
                    "\" twice");
    field = std::move(value);
  }

  const std::string& file_;
  int depth_ = 0;
  bool in_metadata_ = false;
  std::string key_, field_;
  std::unordered_set<std::string> names_;
};

DType parse_dtype(const std::string& text, const std::string& where) {
  for (const DType dtype : {DType::kF64, DType::kF32, DType::kF16, DType::kBF16, DType::kI64,
                            DType::kI32, DType::kI16, DType::kI8, DType::kU8, DType::kBool}) {
    if (text == dtype_name(dtype)) return dtype;
  }
  for (const char* known : {"U16", "U32", "U64", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ",
                            "F8_E5M2FNUZ", "F4", "F6_E2M3", "F6_E3M2", "C64"}) {
    if (text == known)
      fail(ErrorCode::kUnsupported, where, "element type ", text,
           " is not read; convert it to F32, F16 or BF16");
  }
  fail(ErrorCode::kCorruptData, where, "unknown element type \"", text, "\"");
}

/// Sizes of one tensor: product of the shape x element size == span of the offsets.
TensorView make_view(const Entry& entry,
                     std::span<const std::byte> data,
                     const std::string& where) {
  TensorView view;
  view.name = entry.name;
  view.dtype = parse_dtype(*entry.dtype, where);
  LMOE_CHECK_DATA(entry.offsets->size() == 2, where, "data_offsets: given ", entry.offsets->size(),
                  " numbers, expected 2");
  const uint64_t begin = entry.offsets->at(0), end = entry.offsets->at(1);
  LMOE_CHECK_DATA(begin <= end && end <= data.size(), where, "data_offsets: given [", begin, ", ",
                  end, "], expected a range inside the ", data.size(), " bytes of data");
  for (const uint64_t dimension : *entry.shape) {
    LMOE_CHECK_DATA(dimension <= static_cast<uint64_t>(INT64_MAX), where, "shape: given ",
                    dimension, ", expected at most ", INT64_MAX);
    view.shape.push_back(static_cast<int64_t>(dimension));
  }
  const uint64_t size = byte_size(view, where);
  LMOE_CHECK_DATA(size == end - begin, where, "shape ", view.shape_text(), " of ", *entry.dtype,
                  " needs ", size, " bytes, data_offsets span ", end - begin);
  view.bytes = data.subspan(begin, size);
  return view;
}

/// The tensors must tile the data: no holes, no overlaps, nothing after the last one.
void check_tiling(const std::vector<TensorView>& tensors,
                  std::span<const std::byte> data,
                  const std::string& where) {
  std::vector<const TensorView*> sorted;
  for (const TensorView& tensor : tensors) sorted.push_back(&tensor);
  std::sort(sorted.begin(), sorted.end(), [](const TensorView* a, const TensorView* b) {
    if (a->bytes.data() != b->bytes.data()) return a->bytes.data() < b->bytes.data();
    return a->bytes.size() < b->bytes.size();
  });
  const std::byte* expected = data.data();
  for (const TensorView* tensor : sorted) {
    LMOE_CHECK_DATA(tensor->bytes.data() == expected, where, "tensor \"", tensor->name,
                    "\" starts at byte ", tensor->bytes.data() - data.data(),
                    " of the data, expected ", expected - data.data(),
                    tensor->bytes.data() < expected ? " (it overlaps another)"
                                                    : " (there is a hole before it)");
    expected += tensor->bytes.size();
  }
  LMOE_CHECK_DATA(expected == data.data() + data.size(), where, "the tensors end at byte ",
                  expected - data.data(), " of the data, expected ", data.size());
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file,
                                           const std::string& name) {
  const std::string where = "[safetensors] " + name + ": ";
  ByteReader reader(file, name);
  const auto length = reader.read<uint64_t>("header length");
  LMOE_CHECK_DATA(length <= kMaxSafetensorsHeader, where, "header length: given ", length,
                  " bytes, expected at most ", kMaxSafetensorsHeader);
  const auto header = reader.take(length, "header");
  const std::string_view text(reinterpret_cast<const char*>(header.data()), header.size());
  check_json_bytes(text, name);

  HeaderHandler handler(name);
  nlohmann::json::sax_parse(text, &handler);
  SafetensorsHeader result;
  result.metadata = std::move(handler.metadata);
  const auto data = file.subspan(reader.position());
  for (const Entry& entry : handler.entries)
    result.tensors.push_back(make_view(entry, data, where + "tensor \"" + entry.name + "\": "));
  check_tiling(result.tensors, data, where);
  return result;
}

}  // namespace lmoe::io
