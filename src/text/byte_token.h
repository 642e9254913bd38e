// The tokens `<0x00>` … `<0xFF>` that stand for single bytes in SentencePiece-style vocabularies.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lmoe::text {

std::string byte_token(uint8_t byte);
/// Strict: exactly two hexadecimal digits, so `<0x-1>` and `<0x1>` are no byte tokens.
std::optional<uint8_t> parse_byte_token(std::string_view token);

}  // namespace lmoe::text
