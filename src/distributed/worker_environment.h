// Who this process is among the workers of a run, as torchrun tells it, or anything else that sets
// the same variables.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace lmoe::distributed {

struct WorkerEnvironment {
  int rank = 0;                       ///< RANK
  int size = 1;                       ///< WORLD_SIZE
  int local_size = 1;                 ///< LOCAL_WORLD_SIZE, workers on this machine; else `size`
  std::string address = "127.0.0.1";  ///< MASTER_ADDR: where the first worker is
  uint16_t port = 29500;              ///< MASTER_PORT
  /// TORCHELASTIC_USE_AGENT_STORE: torchrun listens at `port`, otherwise the first worker does.
  bool agent_listens = false;
  /// TORCHELASTIC_RESTART_COUNT: how often torchrun has started the workers anew.
  int64_t restarts = 0;
};

/// `variable` gives an environment variable or nullptr. Throws kInvalidArgument naming the one
/// that is missing or makes no sense.
WorkerEnvironment read_worker_environment(const std::function<const char*(const char*)>& variable);

}  // namespace lmoe::distributed
