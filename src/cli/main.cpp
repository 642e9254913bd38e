// The program `lmoe`: small, without Torch. Verbs that learn or run models are handed to
// `lmoe-torch` beside it.
#include <unistd.h>
#include <csignal>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/nearest.h"
#include "cli/command.h"
#include "cli/torch_free_commands.h"
#include "cli/torch_program.h"
#include "cli/verbs.h"
#include "kernels/target.h"

namespace lmoe::cli {
namespace {

void print_help() {
  std::printf(
      "lmoe trains, evaluates and runs mixtures of LoRA experts on frozen language models.\n\n"
      "usage: lmoe VERB [arguments]    (lmoe VERB --help tells more, with examples)\n\n");
  for (const Verb& verb : all_verbs()) std::printf("  %-10s %s\n", verb.name, verb.summary);
  std::printf(
      "\nexamples:\n"
      "  lmoe train recipes/l-moe.yaml output_dir=runs/l-moe\n"
      "  lmoe chat runs/l-moe\n"
      "  lmoe eval runs/l-moe --data data/tasks/clinc150/test.jsonl\n");
}

int start_torch_program(const std::vector<std::string>& arguments) {
  const std::string path = torch_program().string();
  std::vector<char*> argv = {const_cast<char*>(path.c_str())};
  for (const std::string& text : arguments) argv.push_back(const_cast<char*>(text.c_str()));
  argv.push_back(nullptr);
  ::execv(path.c_str(), argv.data());
  fail(ErrorCode::kNotFound, "[start] cannot start ", path, ": ", std::strerror(errno),
       "; hint: build the target lmoe-torch");
}

[[noreturn]] void refuse_verb(const std::string& given, const std::vector<std::string>& known) {
  const bool is_planned = given == "serve" || given == "compose";
  std::string nearest = nearest_name(given, known);
  if (given == "evaluate" || given == "evaluation") nearest = "eval";
  if (given == "inference" || given == "infer") nearest = "generate";
  fail(ErrorCode::kInvalidArgument, "[arguments] ",
       is_planned ? "verb that is not built yet" : "unknown verb", ": given \"", given, "\"",
       nearest.empty() || is_planned ? "" : "; nearest is \"" + nearest + "\"",
       "; see `lmoe --help`");
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h" ||
      arguments[0] == "help") {
    print_help();
    return arguments.empty() ? 2 : 0;
  }
  if (arguments[0] == "--version") {
    std::printf("lmoe %s\n", LMOE_VERSION);
    return 0;
  }
  std::vector<std::string> names;
  for (const Verb& verb : all_verbs()) {
    names.emplace_back(verb.name);
    if (arguments[0] == verb.name && verb.needs_torch) return start_torch_program(arguments);
  }
  kernels::choose_target_from_environment();
  for (const Command& command : torch_free_commands()) {
    if (arguments[0] == command.name)
      return guarded(command.run, {arguments.begin() + 1, arguments.end()});
  }
  refuse_verb(arguments[0], names);
}

}  // namespace
}  // namespace lmoe::cli

int main(int argc, char** argv) {
  lmoe::cli::open_missing_streams();
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error like others
  return lmoe::cli::guarded(lmoe::cli::run, {argv + 1, argv + argc});
}
