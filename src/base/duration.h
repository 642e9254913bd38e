// Spans of time for people.
#pragma once

#include <string>

namespace lmoe {

/// "00:47:12", rounded to seconds; negative ones are zero.
std::string duration_text(double seconds);

}  // namespace lmoe
