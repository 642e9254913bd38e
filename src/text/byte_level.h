// The byte alphabet of GPT-2: each byte has one printable character, so that vocabularies are text.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lmoe::text {

/// Code point of each byte: itself when printable in Latin-1, else 256, 257, … in order.
const std::array<char32_t, 256>& byte_alphabet();
std::optional<uint8_t> byte_of_character(char32_t character);

/// "hello world" -> "helloĠworld".
std::string to_byte_alphabet(std::string_view bytes);
/// The inverse; a token with any character outside the alphabet stands for its own bytes.
void append_from_byte_alphabet(std::string& out, std::string_view token);
std::string from_byte_alphabet(std::string_view token);

}  // namespace lmoe::text
