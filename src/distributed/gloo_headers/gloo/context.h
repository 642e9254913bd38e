// Stands in for gloo's header of this name; see ../README.md.
#pragma once

#include <chrono>
#include <memory>

namespace gloo {

/// Only ever behind a pointer.
class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};

namespace transport {
class UnboundBuffer;
}

}  // namespace gloo
