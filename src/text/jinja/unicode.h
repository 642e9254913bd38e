// Text as Python sees it: by code point, with Python's idea of white space and case.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lmoe::text::jinja {

/// The code points of valid UTF-8, each as its bytes. A stray byte counts as one.
std::vector<std::string_view> characters(std::string_view text);
int64_t count_characters(std::string_view text);
char32_t code_point(std::string_view character);

bool is_space(char32_t code);      ///< str.isspace
bool is_printable(char32_t code);  ///< str.isprintable
bool is_word(char32_t code);       ///< \w of re
bool is_alpha(char32_t code);
bool is_digit(char32_t code);
/// Ends a line for str.splitlines.
bool is_line_break(char32_t code);

enum class Side { kBoth, kLeft, kRight };
/// str.strip: white space, or any of the characters of `set`.
std::string_view strip(std::string_view text, Side side);
std::string_view strip(std::string_view text, Side side, std::string_view set);

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string capitalize(std::string_view text);
std::string title(std::string_view text);  ///< str.title
bool is_upper(std::string_view text);
bool is_lower(std::string_view text);

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

}  // namespace lmoe::text::jinja
