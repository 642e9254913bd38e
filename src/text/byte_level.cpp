#include "text/byte_level.h"

#include "text/utf8.h"

namespace lmoe::text {

namespace {

bool is_printable(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

std::array<char32_t, 256> make_alphabet() {
  std::array<char32_t, 256> alphabet{};
  char32_t next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    alphabet[static_cast<size_t>(byte)] = is_printable(byte) ? static_cast<char32_t>(byte) : next++;
  }
  return alphabet;
}

constexpr size_t kAlphabetEnd = 256 + 68;  // 68 bytes are not printable

std::array<int16_t, kAlphabetEnd> make_inverse() {
  std::array<int16_t, kAlphabetEnd> inverse{};
  inverse.fill(-1);
  for (size_t byte = 0; byte < 256; ++byte) {
    inverse[byte_alphabet()[byte]] = static_cast<int16_t>(byte);
  }
  return inverse;
}

}  // namespace

const std::array<char32_t, 256>& byte_alphabet() {
  static const auto alphabet = make_alphabet();
  return alphabet;
}

std::optional<uint8_t> byte_of_character(char32_t character) {
  static const auto inverse = make_inverse();
  if (character >= kAlphabetEnd || inverse[character] < 0) return std::nullopt;
  return static_cast<uint8_t>(inverse[character]);
}

std::string to_byte_alphabet(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char byte : bytes) append_utf8(out, byte_alphabet()[static_cast<uint8_t>(byte)]);
  return out;
}

void append_from_byte_alphabet(std::string& out, std::string_view token) {
  const size_t begin = out.size();
  for (std::string_view rest = token; !rest.empty();) {
    const Utf8Step step = utf8_step(rest);
    const auto byte = byte_of_character(step.code_point);
    if (!byte) {
      out.resize(begin);
      out += token;
      return;
    }
    out.push_back(static_cast<char>(*byte));
    rest.remove_prefix(static_cast<size_t>(step.length));
  }
}

std::string from_byte_alphabet(std::string_view token) {
  std::string out;
  append_from_byte_alphabet(out, token);
  return out;
}

}  // namespace lmoe::text
