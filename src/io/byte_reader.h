// Reads little-endian numbers and strings out of untrusted bytes. Nothing is read or allocated
// beyond what is there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>

namespace lmoe::io {

class ByteReader {
 public:
  /// `name` is the file, for messages.
  ByteReader(std::span<const std::byte> bytes, std::string name)
      : bytes_(bytes), name_(std::move(name)) {}

  /// Throws kCorruptData when the file ends before the value does; `what` names it.
  template <class T>
  T read(const char* what) {
    static_assert(std::is_arithmetic_v<T>);
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }
  /// The next `count` bytes. Throws kCorruptData.
  std::span<const std::byte> take(uint64_t count, const char* what);
  /// A u64 length and as many bytes. Throws kCorruptData.
  std::string read_string(const char* what);
  /// A u64 number of items that take at least `item_bytes` each. Throws kCorruptData when they
  /// cannot fit.
  uint64_t read_count(uint64_t item_bytes, const char* what);

  uint64_t position() const { return position_; }
  uint64_t remaining() const { return bytes_.size() - position_; }
  const std::string& name() const { return name_; }

 private:
  std::span<const std::byte> bytes_;
  std::string name_;
  uint64_t position_ = 0;
};

}  // namespace lmoe::io
