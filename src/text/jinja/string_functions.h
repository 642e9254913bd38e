// Text functions that methods and filters share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/methods.h"

namespace lmoe::text::jinja {

/// str.split(): between runs of white space; at most `limit` cuts, no limit when negative.
std::vector<std::string_view> split_space(std::string_view text, int64_t limit, bool from_right);
/// str.split(separator). Throws TemplateError for an empty one.
std::vector<std::string_view> split_text(std::string_view text,
                                         std::string_view separator,
                                         int64_t limit,
                                         bool from_right);

/// str.replace; all of them when `count` is negative.
std::string replace_text(std::string_view text,
                         std::string_view old_text,
                         std::string_view new_text,
                         int64_t count,
                         Budget& budget);

enum class Align { kLeft, kRight, kCenter };
/// Fills up to `width` characters. Centred as str.center does.
std::string pad(
    std::string_view text, int64_t width, Align align, std::string_view fill, Budget& budget);

/// upper, lower, isdigit, ljust, …
Method find_case_method(std::string_view name);

}  // namespace lmoe::text::jinja
