// Writes GGUF files byte by byte, wrong ones too.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace lmoe::test {

struct GgufBuilder {
  uint32_t magic = 0x46554747, version = 3;
  uint64_t tensors = 0, pairs = 0;
  std::string metadata, descriptions, data;
  uint64_t alignment = 32;

  template <class T>
  static std::string number(T value) {
    std::string bytes(sizeof(T), '\0');
    std::memcpy(bytes.data(), &value, sizeof(T));
    return bytes;
  }
  static std::string text(const std::string& value) {
    return number<uint64_t>(value.size()) + value;
  }

  /// `value` is the raw bytes after the type id.
  GgufBuilder& raw(const std::string& key, uint32_t type, const std::string& value) {
    metadata += text(key) + number(type) + value;
    ++pairs;
    return *this;
  }
  GgufBuilder& string(const std::string& key, const std::string& value) {
    return raw(key, 8, text(value));
  }
  GgufBuilder& u32(const std::string& key, uint32_t value) { return raw(key, 4, number(value)); }
  GgufBuilder& f32(const std::string& key, float value) { return raw(key, 6, number(value)); }
  GgufBuilder& boolean(const std::string& key, bool value) {
    return raw(key, 7, number<uint8_t>(value));
  }
  GgufBuilder& strings(const std::string& key, const std::vector<std::string>& values) {
    std::string bytes = number<uint32_t>(8) + number<uint64_t>(values.size());
    for (const std::string& value : values) bytes += text(value);
    return raw(key, 9, bytes);
  }
  GgufBuilder& i32s(const std::string& key, const std::vector<int32_t>& values) {
    std::string bytes = number<uint32_t>(5) + number<uint64_t>(values.size());
    for (const int32_t value : values) bytes += number(value);
    return raw(key, 9, bytes);
  }
  GgufBuilder& f32s(const std::string& key, const std::vector<float>& values) {
    std::string bytes = number<uint32_t>(6) + number<uint64_t>(values.size());
    for (const float value : values) bytes += number(value);
    return raw(key, 9, bytes);
  }

  /// Dimensions fastest first.
  GgufBuilder& describe(const std::string& name,
                        const std::vector<uint64_t>& dims,
                        uint32_t type,
                        uint64_t offset) {
    descriptions += text(name) + number(static_cast<uint32_t>(dims.size()));
    for (const uint64_t size : dims) descriptions += number(size);
    descriptions += number(type) + number(offset);
    ++tensors;
    return *this;
  }
  /// A float32 tensor with its data, aligned.
  GgufBuilder& tensor(const std::string& name,
                      const std::vector<uint64_t>& dims,
                      const std::vector<float>& values) {
    describe(name, dims, 0, data.size());
    data.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    data.resize((data.size() + alignment - 1) / alignment * alignment);
    return *this;
  }

  std::string bytes() const {
    std::string file =
        number(magic) + number(version) + number(tensors) + number(pairs) + metadata + descriptions;
    file.resize((file.size() + alignment - 1) / alignment * alignment);
    return file + data;
  }
};

}  // namespace lmoe::test
