// One of several workers of the same run must not say everything again.
#pragma once

namespace lmoe {

/// From here on this process logs nothing and shows no progress; errors are still told.
void be_quiet();
bool is_quiet();

}  // namespace lmoe
