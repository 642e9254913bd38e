// A program run to its end as a child of this one.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace lmoe::cli {

struct ChildResult {
  int exit_code = 0;  ///< 128 + the signal that ended it
  std::string error;  ///< the last line that says "lmoe: error:", without these words
};

/// Both outputs go to the file `log`. `threads` > 0 sets OMP_NUM_THREADS where the caller has not.
/// Once Ctrl-C was pressed here, the child is told so, once, and waited for. Throws kIo, kNotFound.
ChildResult run_child(const std::vector<std::string>& command,
                      const std::filesystem::path& log,
                      int threads);

}  // namespace lmoe::cli
