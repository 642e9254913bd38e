// `lmoe bench --tune`: measures both forms of top-k products and writes the table by which mixtures
// choose.
#pragma once

#include <string>

namespace lmoe::cli {

/// The user's own table, for the help.
std::string own_table_text();

/// Measures, prints old and new choices and writes `output`, or the user's own table when it is
/// empty. Ctrl-C leaves the old table as it is (kInterrupted). Throws kCorruptData when the table
/// in force is malformed, kInvalidArgument and kIo when the file cannot be written.
int tune_top_k(const std::string& output);

}  // namespace lmoe::cli
