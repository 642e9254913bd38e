#include "io/gguf_value.h"

#include <cmath>

#include "base/checked.h"

namespace lmoe::io {
namespace {

enum class ValueType : uint32_t {
  kU8 = 0,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64
};

template <class T>
T read_number(ByteReader& reader) {
  return reader.read<T>("metadata value");
}

bool read_bool(ByteReader& reader, const std::string& key) {
  const auto byte = reader.read<uint8_t>("metadata value");
  LMOE_CHECK_DATA(byte <= 1, "[gguf] ", reader.name(), ": key \"", key, "\" of type bool: given ",
                  +byte, ", expected 0 or 1");
  return byte == 1;
}

int64_t widen(uint64_t value) { return checked_cast<int64_t>(value, "metadata value"); }
int64_t widen(int64_t value) { return value; }
template <class T>
int64_t widen(T value) {
  return value;
}

template <class Stored>
std::vector<int64_t> read_integers(ByteReader& reader) {
  std::vector<int64_t> values(reader.read_count(sizeof(Stored), "metadata list"));
  for (int64_t& value : values) value = widen(read_number<Stored>(reader));
  return values;
}

template <class Stored>
std::vector<double> read_doubles(ByteReader& reader) {
  std::vector<double> values(reader.read_count(sizeof(Stored), "metadata list"));
  for (double& value : values) value = read_number<Stored>(reader);
  return values;
}

std::vector<std::string> read_strings(ByteReader& reader) {
  const uint64_t count = reader.read_count(sizeof(uint64_t), "metadata list");
  std::vector<std::string> values;
  for (uint64_t i = 0; i < count; ++i) values.push_back(reader.read_string("metadata text"));
  return values;
}

std::vector<bool> read_bools(ByteReader& reader, const std::string& key) {
  std::vector<bool> values(reader.read_count(1, "metadata list"));
  for (size_t i = 0; i < values.size(); ++i) values[i] = read_bool(reader, key);
  return values;
}

GgufValue read_list(ByteReader& reader, const std::string& key) {
  const auto type = reader.read<uint32_t>("type of a metadata list");
  switch (static_cast<ValueType>(type)) {
    case ValueType::kU8:
      return read_integers<uint8_t>(reader);
    case ValueType::kI8:
      return read_integers<int8_t>(reader);
    case ValueType::kU16:
      return read_integers<uint16_t>(reader);
    case ValueType::kI16:
      return read_integers<int16_t>(reader);
    case ValueType::kU32:
      return read_integers<uint32_t>(reader);
    case ValueType::kI32:
      return read_integers<int32_t>(reader);
    case ValueType::kU64:
      return read_integers<uint64_t>(reader);
    case ValueType::kI64:
      return read_integers<int64_t>(reader);
    case ValueType::kF32:
      return read_doubles<float>(reader);
    case ValueType::kF64:
      return read_doubles<double>(reader);
    case ValueType::kBool:
      return read_bools(reader, key);
    case ValueType::kString:
      return read_strings(reader);
    case ValueType::kArray:
      fail(ErrorCode::kUnsupported, "[gguf] ", reader.name(), ": key \"", key,
           "\" is a list of lists");
  }
  fail(ErrorCode::kCorruptData, "[gguf] ", reader.name(), ": key \"", key,
       "\" is a list of unknown type ", type);
}

GgufValue from_unsigned(uint64_t value) {
  if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return value;
  return static_cast<int64_t>(value);
}

}  // namespace

GgufValue read_gguf_value(ByteReader& reader, const std::string& key) {
  const auto type = reader.read<uint32_t>("type of a metadata value");
  switch (static_cast<ValueType>(type)) {
    case ValueType::kU8:
      return widen(read_number<uint8_t>(reader));
    case ValueType::kI8:
      return widen(read_number<int8_t>(reader));
    case ValueType::kU16:
      return widen(read_number<uint16_t>(reader));
    case ValueType::kI16:
      return widen(read_number<int16_t>(reader));
    case ValueType::kU32:
      return widen(read_number<uint32_t>(reader));
    case ValueType::kI32:
      return widen(read_number<int32_t>(reader));
    case ValueType::kI64:
      return read_number<int64_t>(reader);
    case ValueType::kU64:
      return from_unsigned(read_number<uint64_t>(reader));
    case ValueType::kF32:
      return static_cast<double>(read_number<float>(reader));
    case ValueType::kF64:
      return read_number<double>(reader);
    case ValueType::kBool:
      return read_bool(reader, key);
    case ValueType::kString:
      return reader.read_string("metadata text");
    case ValueType::kArray:
      return read_list(reader, key);
  }
  fail(ErrorCode::kCorruptData, "[gguf] ", reader.name(), ": key \"", key, "\" has unknown type ",
       type);
}

}  // namespace lmoe::io
