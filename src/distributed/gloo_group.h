// Workers that talk over TCP through c10d's Gloo, which is part of libtorch_cpu.
#pragma once

#include <chrono>
#include <memory>

#include "distributed/process_group.h"
#include "distributed/worker_environment.h"

namespace lmoe::distributed {

/// How long the workers wait until all of them are there: the default of PyTorch's store.
inline constexpr std::chrono::minutes kJoinPatience{5};

/// Returns when all workers have called it. Throws kIo when they do not within `patience`, or when
/// nothing can listen or be reached at the address. From then on the process ignores SIGPIPE.
std::unique_ptr<ProcessGroup> join_gloo_group(const WorkerEnvironment& environment,
                                              std::chrono::milliseconds patience = kJoinPatience);

}  // namespace lmoe::distributed
