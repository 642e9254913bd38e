// Lines from a file descriptor, one at a time; unlike std::getline it notices Ctrl-C.
#pragma once

#include <string>

namespace lmoe::cli {

class LineReader {
 public:
  enum class Status { kLine, kEnd, kInterrupted };

  explicit LineReader(int descriptor) : descriptor_(descriptor) {}
  /// A last line without its end counts. `line` comes without the line break. Throws kIo.
  Status read(std::string& line);

 private:
  int descriptor_;
  std::string buffer_;
  bool at_end_ = false;
};

}  // namespace lmoe::cli
