// The text of answers as exact_match compares it.
#pragma once

#include <string>
#include <string_view>

namespace lmoe::eval {

/// Without ASCII white space at its ends.
std::string_view trim(std::string_view text);

/// Trimmed, and every run of white space inside made one space. Case and punctuation count.
std::string normalise_answer(std::string_view answer);

}  // namespace lmoe::eval
