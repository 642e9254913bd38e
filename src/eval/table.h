// Columns of text, aligned: the first to the left, the others to the right.
#pragma once

#include <string>
#include <vector>

namespace lmoe::eval {

/// Every line ends with a line break and has no space at its end. Widths are counted in Unicode
/// code points.
std::string align_columns(const std::vector<std::vector<std::string>>& rows);

/// Fixed digits after the point.
std::string fixed(double value, int digits);
/// "+0.120".
std::string signed_fixed(double value, int digits);

}  // namespace lmoe::eval
