// Errors of lmoe: one exception type with a code that `cli` maps to an exit code.
//
//   LMOE_CHECK_ARG(rank > 0, "[attach] rank must be positive: given ", rank);
//   fail(ErrorCode::kCorruptData, "[safetensors] ", path, ": header ends after the file");
//
// Messages have the form `[operation] what was wrong: given …, expected …; hint`.
// LMOE_ASSERT is for bugs of our own and must never guard against input.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace lmoe {

enum class ErrorCode {
  kInvalidArgument,  ///< the user asked for something impossible (exit code 2)
  kNotFound,         ///< a file, key or name that does not exist (exit code 2)
  kCorruptData,      ///< a file whose content is malformed (exit code 2)
  kUnsupported,      ///< understood, but not built (exit code 2)
  kIo,               ///< the operating system refused: disk full, permission (exit code 1)
  kOutOfMemory,      ///< does not fit this machine (exit code 1)
  kDiverged,         ///< training produced NaN or infinity (exit code 1)
  kInterrupted,      ///< Ctrl-C (exit code 130)
  kInternal,         ///< a bug of ours (exit code 70)
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

/// Exit code of the program for an error of this kind.
int exit_code(ErrorCode code);

/// Joins anything that streams into one string.
template <class... Parts>
std::string concat(Parts&&... parts) {
  std::ostringstream out;
  (out << ... << std::forward<Parts>(parts));
  return out.str();
}

/// A message without the "[operation] " it begins with, to be told within another.
std::string_view without_operation(std::string_view message);

template <class... Parts>
[[noreturn]] void fail(ErrorCode code, Parts&&... parts) {
  throw Error(code, concat(std::forward<Parts>(parts)...));
}

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace lmoe

#define LMOE_CHECK_ARG(condition, ...)                                                \
  do {                                                                                \
    if (!(condition)) ::lmoe::fail(::lmoe::ErrorCode::kInvalidArgument, __VA_ARGS__); \
  } while (false)

#define LMOE_CHECK_DATA(condition, ...)                                           \
  do {                                                                            \
    if (!(condition)) ::lmoe::fail(::lmoe::ErrorCode::kCorruptData, __VA_ARGS__); \
  } while (false)

#if defined(LMOE_ASSERTIONS) || !defined(NDEBUG)
#define LMOE_ASSERT(condition) \
  ((condition) ? void(0) : ::lmoe::assertion_failed(#condition, __FILE__, __LINE__))
#else
#define LMOE_ASSERT(condition) void(0)
#endif
