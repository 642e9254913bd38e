#include "cli/line_reader.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace lmoe::cli {

LineReader::Status LineReader::read(std::string& line) {
  while (true) {
    const size_t end = buffer_.find('\n');
    if (end != std::string::npos || (at_end_ && !buffer_.empty())) {
      line = buffer_.substr(0, end);
      buffer_.erase(0, end == std::string::npos ? end : end + 1);
      if (!line.empty() && line.back() == '\r') line.pop_back();
      return Status::kLine;
    }
    if (at_end_) return Status::kEnd;
    std::array<char, 4096> chunk{};
    const ssize_t count = ::read(descriptor_, chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) return Status::kInterrupted;
    LMOE_CHECK_ARG(
        count >= 0 || errno != EISDIR,
        "[input] cannot read lines: given a folder, expected a file, a pipe or a terminal");
    if (count < 0) fail(ErrorCode::kIo, "[input] cannot read: ", std::strerror(errno));
    at_end_ = count == 0;
    buffer_.append(chunk.data(), static_cast<size_t>(count));
  }
}

}  // namespace lmoe::cli
