// The program `lmoe-torch`: the verbs that train or run models on LibTorch.
// Started by `lmoe`.
#include <csignal>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/command.h"
#include "cli/torch/commands.h"
#include "kernels/target.h"

namespace lmoe::cli {
namespace {

int run(const std::vector<std::string>& arguments) {
  kernels::choose_target_from_environment();
  static constexpr Command kCommands[] = {
      {"bench", run_bench},       {"chat", run_chat},       {"eval", run_eval},
      {"experts", run_experts},   {"export", run_export},   {"extract", run_extract},
      {"generate", run_generate}, {"prompts", run_prompts}, {"resume", run_resume},
      {"score", run_score},       {"select", run_select},   {"train", run_train}};
  for (const Command& command : kCommands) {
    if (!arguments.empty() && arguments[0] == command.name) {
      return guarded(command.run, {arguments.begin() + 1, arguments.end()});
    }
  }
  fail(ErrorCode::kInvalidArgument, "[arguments] lmoe-torch is started by lmoe; see `lmoe --help`");
}

}  // namespace
}  // namespace lmoe::cli

int main(int argc, char** argv) {
  lmoe::cli::open_missing_streams();
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error like others
  return lmoe::cli::guarded(lmoe::cli::run, {argv + 1, argv + argc});
}
