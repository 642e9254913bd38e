// Rewrites patterns of tokenizer.json (Oniguruma's dialect) for PCRE2.
#pragma once

#include <string>
#include <string_view>

namespace lmoe::text {

/// Rewrites what the two dialects read differently: `\s`, `\w`, `\h` and, with
/// `with_new_code_points`, properties that PCRE2's older Unicode tables lack members of. Throws
/// kUnsupported, naming `where`, for what cannot be expressed.
std::string to_pcre2_syntax(std::string_view pattern,
                            bool with_new_code_points,
                            const std::string& where);

}  // namespace lmoe::text
