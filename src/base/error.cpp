#include "base/error.h"

namespace lmoe {

int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kNotFound:
    case ErrorCode::kCorruptData:
    case ErrorCode::kUnsupported:
      return 2;
    case ErrorCode::kIo:
    case ErrorCode::kOutOfMemory:
    case ErrorCode::kDiverged:
      return 1;
    case ErrorCode::kInterrupted:
      return 130;
    case ErrorCode::kInternal:
      return 70;
  }
  return 70;
}

std::string_view without_operation(std::string_view message) {
  const size_t end = message.find("] ");
  if (message.starts_with('[') && end != std::string_view::npos) message.remove_prefix(end + 2);
  return message;
}

void assertion_failed(const char* expression, const char* file, int line) {
  fail(ErrorCode::kInternal, "[internal] assertion failed: ", expression, " at ", file, ":", line,
       "; this is a bug of lmoe");
}

}  // namespace lmoe
