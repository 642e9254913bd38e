#include "nn/first_pass.h"

#include "base/error.h"

namespace lmoe::nn {

void FirstPassSocket::check_free() const {
  LMOE_CHECK_ARG(!is_taken_,
                 "[attach] another mixture decides from the first pass; unplug it first");
}

void FirstPassSocket::plug() {
  check_free();
  is_taken_ = true;
}

}  // namespace lmoe::nn
