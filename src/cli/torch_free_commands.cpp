#include "cli/torch_free_commands.h"

namespace lmoe::cli {

std::span<const Command> torch_free_commands() {
  static constexpr Command kCommands[] = {{"examples", run_examples}, {"methods", run_methods}};
  return kCommands;
}

}  // namespace lmoe::cli
