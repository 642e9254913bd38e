#define USE_C10D_GLOO  // as libtorch_cpu was built; ProcessGroupGloo.hpp is empty without it
#include "distributed/gloo_group.h"

#include <torch/headeronly/version.h>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <csignal>

// gloo_headers/ declares what this version's header needs.
#if TORCH_VERSION_MAJOR != 2 || TORCH_VERSION_MINOR != 13
#error "src/distributed/gloo_headers was written for PyTorch 2.13: compare it with the new headers"
#endif

namespace lmoe::distributed {
namespace {

/// "Read error [host]:port: Connection reset by peer": the first line, for c10d adds the stack of
/// its own calls, without gloo's place in its source and general advice.
std::string reason(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  text = text.substr(0, text.find(". This is typically"));
  return std::string(without_operation(text));
}

class GlooGroup : public ProcessGroup {
 public:
  GlooGroup(int rank, int size, c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo)
      : ProcessGroup(rank, size), gloo_(std::move(gloo)) {}

  std::function<void()> start_sum(at::Tensor flat) override {
    std::vector<at::Tensor> tensors = {std::move(flat)};
    c10::intrusive_ptr<c10d::Work> work;
    or_lost([&] { work = gloo_->allreduce(tensors); });
    return [this, work] { or_lost([&] { work->wait(); }); };
  }

  void broadcast(at::Tensor flat) override {
    std::vector<at::Tensor> tensors = {std::move(flat)};
    or_lost([&] { gloo_->broadcast(tensors)->wait(); });
  }

 private:
  void or_lost(const std::function<void()>& call) const {
    try {
      call();
    } catch (const std::exception& error) {
      throw WorkerLost(
          concat("[distributed] worker ", rank(), " of ", size(),
                 " lost another worker, which was killed or has failed: ", reason(error.what())));
    }
  }

  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo_;
};

c10::intrusive_ptr<c10d::Store> open_store(const WorkerEnvironment& environment,
                                           std::chrono::milliseconds patience) {
  c10d::TCPStoreOptions options;
  options.port = environment.port;
  options.isServer = environment.rank == 0 && !environment.agent_listens;
  options.waitWorkers = !environment.agent_listens;
  options.numWorkers = static_cast<size_t>(environment.size);
  options.timeout = patience;
  auto store = c10::make_intrusive<c10d::TCPStore>(environment.address, options);
  // What an earlier start left in torchrun's store must not be read.
  return c10::make_intrusive<c10d::PrefixStore>(concat("lmoe/", environment.restarts), store);
}

}  // namespace

std::unique_ptr<ProcessGroup> join_gloo_group(const WorkerEnvironment& environment,
                                              std::chrono::milliseconds patience) {
  // Gloo writes into sockets whose other end may be gone: that is to be an error, not the end.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    const auto store = open_store(environment, patience);
    const auto gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(
        store, environment.rank, environment.size,
        c10d::ProcessGroupGloo::Options::create_default(kPatience));
    auto group = std::make_unique<GlooGroup>(environment.rank, environment.size, gloo);
    std::vector<double> present = {1.0};
    group->sum(present);  // who goes on, and perhaps ends, leaves nobody half connected
    return group;
  } catch (const std::exception& error) {
    fail(ErrorCode::kIo, "[distributed] worker ", environment.rank, " of ", environment.size,
         " cannot join the others at ", environment.address, ":", environment.port, ": ",
         reason(error.what()),
         "; hint: start all workers, with the same MASTER_ADDR and MASTER_PORT, at one time");
  }
}

}  // namespace lmoe::distributed
