// Whose mistake a failed call on a path is.
#pragma once

#include "base/error.h"

namespace lmoe {

/// ENOENT and ENOTDIR: kNotFound; ENAMETOOLONG and ELOOP: kInvalidArgument, since no such path can
/// exist; any other errno: kIo.
ErrorCode path_error_code(int error_number);

}  // namespace lmoe
