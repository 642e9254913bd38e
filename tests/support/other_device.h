// A device that is not the CPU, on machines that have no other one.
#pragma once

#include <c10/core/Device.h>

namespace lmoe::test {

/// Its tensors lie where no pointer of theirs can be followed, and it computes with none of the
/// CPU's: an operation that is given both, and not numbers of dimension 0 alone, throws c10::Error.
/// Operations themselves are run on copies on the CPU.
at::Device other_device();

}  // namespace lmoe::test
