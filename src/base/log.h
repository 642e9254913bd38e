// Messages for people, on stderr, one per line. Rooms below `cli` log; only `cli` prints results.
//
//   log().info("training {} parameters in {} projections", count, targets);
//
// The library behind it stays out of this header: LibTorch brings another version of fmt.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace lmoe {

/// In a pattern each "{}" stands for the next argument, written as it streams; nothing else is
/// special.
class Log {
 public:
  template <class... Parts>
  void info(std::string_view pattern, const Parts&... parts) const {
    write("", pattern, {concat(parts)...});
  }
  /// With "note: " before it.
  template <class... Parts>
  void note(std::string_view pattern, const Parts&... parts) const {
    write("note: ", pattern, {concat(parts)...});
  }
  /// With "warning: " before it.
  template <class... Parts>
  void warn(std::string_view pattern, const Parts&... parts) const {
    write("warning: ", pattern, {concat(parts)...});
  }

 private:
  void write(const char* prefix,
             std::string_view pattern,
             const std::vector<std::string>& parts) const;
};

/// The program's log.
const Log& log();

/// The pattern with its "{}" filled in; what is left over of either is kept.
std::string fill_in(std::string_view pattern, const std::vector<std::string>& parts);

}  // namespace lmoe
