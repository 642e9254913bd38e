// Unicode normalization forms in linear time (n log n within one run of combining marks).
//
// ICU's own normalizer inserts marks one by one, which is quadratic for long runs of them in mixed
// order.
#pragma once

#include <string>
#include <string_view>

namespace lmoe::text {

enum class NormalizationForm { kNfc, kNfd, kNfkc, kNfkd };

/// `text` must be valid UTF-8.
std::string unicode_normalize(std::string_view text, NormalizationForm form);

}  // namespace lmoe::text
