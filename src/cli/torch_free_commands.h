// The verbs that `lmoe` runs itself.
#pragma once

#include <span>

#include "cli/command.h"

namespace lmoe::cli {

int run_compare(const std::vector<std::string>& arguments);
int run_examples(const std::vector<std::string>& arguments);
int run_inspect(const std::vector<std::string>& arguments);
int run_methods(const std::vector<std::string>& arguments);
int run_report(const std::vector<std::string>& arguments);
int run_schema(const std::vector<std::string>& arguments);

std::span<const Command> torch_free_commands();

}  // namespace lmoe::cli
