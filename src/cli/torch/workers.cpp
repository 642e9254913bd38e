#include "cli/torch/workers.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <thread>

#include "base/quiet.h"
#include "distributed/all_or_none.h"
#include "distributed/gloo_group.h"
#include "distributed/worker_environment.h"

namespace lmoe::cli {
namespace {

/// OMP_NUM_THREADS as the user has set it; torchrun sets it to 1 when it is not.
bool user_set_threads() {
  const char* threads = std::getenv("OMP_NUM_THREADS");
  if (threads == nullptr) return false;
  return std::getenv("TORCHELASTIC_RUN_ID") == nullptr || std::string(threads) != "1";
}

void share_cores(int local_size) {
  if (local_size == 1 || user_set_threads()) return;
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  at::set_num_threads(std::max(1, cores / local_size));
}

}  // namespace

Workers::Workers() {
  const distributed::WorkerEnvironment environment =
      distributed::read_worker_environment([](const char* name) { return std::getenv(name); });
  if (environment.size == 1) return;
  local_size_ = environment.local_size;
  share_cores(local_size_);
  if (environment.rank > 0) be_quiet();
  group_ = distributed::join_gloo_group(environment);
}

int with_workers(const std::function<int(Workers&)>& work) {
  Workers workers;
  try {
    return work(workers);
  } catch (const distributed::FailedElsewhere& failure) {
    return failure.exit_code();
  }
}

}  // namespace lmoe::cli
