// Character classes as the `tokenizers` library sees them (Unicode 16), whatever version PCRE2 and
// ICU carry.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace lmoe::text {

/// Code points assigned after Unicode 14, which the PCRE2 of Debian 12 does not know.
struct NewCodePoints {
  char32_t first, last;
  char category[3];
};
std::span<const NewCodePoints> new_code_points();
/// Whether valid UTF-8 `text` holds any of them.
bool has_new_code_points(std::string_view text);

bool is_white_space(char32_t c);  ///< property White_Space
bool is_numeric(char32_t c);      ///< general category N
bool is_word(char32_t c);         ///< `\w`: Alphabetic, M, Nd, Pc, Join_Control
char32_t to_lower(char32_t c);    ///< simple case mapping

std::string_view trim_start(std::string_view text);  ///< without leading White_Space
std::string_view trim_end(std::string_view text);    ///< without trailing White_Space

}  // namespace lmoe::text
