#include "io/byte_reader.h"

#include "base/error.h"

namespace lmoe::io {

std::span<const std::byte> ByteReader::take(uint64_t count, const char* what) {
  LMOE_CHECK_DATA(count <= remaining(), "[read] ", name_, ": ", what,
                  " goes beyond the end of the file: given ", count, " bytes at offset ", position_,
                  ", expected at most ", remaining());
  const auto taken = bytes_.subspan(position_, count);
  position_ += count;
  return taken;
}

std::string ByteReader::read_string(const char* what) {
  const auto bytes = take(read_count(1, what), what);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

uint64_t ByteReader::read_count(uint64_t item_bytes, const char* what) {
  const auto count = read<uint64_t>(what);
  LMOE_CHECK_DATA(count <= remaining() / item_bytes, "[read] ", name_, ": ", what,
                  " is longer than the file: given ", count, ", expected at most ",
                  remaining() / item_bytes);
  return count;
}

}  // namespace lmoe::io
