#include "cli/torch_free_commands.h"

namespace lmoe::cli {

std::span<const Command> torch_free_commands() {
  static constexpr Command kCommands[] = {{"compare", run_compare}, {"examples", run_examples},
                                          {"inspect", run_inspect}, {"methods", run_methods},
                                          {"report", run_report},   {"schema", run_schema}};
  return kCommands;
}

}  // namespace lmoe::cli
