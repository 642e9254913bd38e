// A subcommand, and what every program does around it: help, errors on stderr, exit codes.
//
// Exit codes: 0 success, 1 failure of the machine, 2 the user's mistake, 70 a bug of ours, 130
// Ctrl-C.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace CLI {
class App;
class Validator;
}  // namespace CLI

namespace lmoe::cli {

struct Command {
  const char* name;
  int (*run)(const std::vector<std::string>&
                 arguments);  ///< arguments after the verb; returns the exit code
};

/// Runs `body`, turns every exception into one line on stderr and an exit code.
int guarded(int (*body)(const std::vector<std::string>&),
            const std::vector<std::string>& arguments);

/// Opens /dev/null in place of standard streams the caller closed; otherwise the first file opened
/// would become one.
void open_missing_streams();

/// For options that are numbers with a fraction: CLI::Range lets NaN pass.
CLI::Validator number_between(double least, double most);

/// Throws kInvalidArgument when `file` exists or its folder does not, before there is anything to
/// write; `hint` names the option.
void check_new_file(const std::string& file, const std::string& operation, const char* hint);

/// Parses into `app`; prints help (exit 0) or one clear error (exit 2). Empty result means: go on.
/// Arguments `key=value` and unknown `--key value`, `--key=value` are collected into `overrides`
/// when it is given.
struct ParseOutcome {
  bool finished = false;
  int exit_code = 0;
};
ParseOutcome parse_arguments(CLI::App& app,
                             const std::vector<std::string>& arguments,
                             std::vector<std::string>* overrides = nullptr);

}  // namespace lmoe::cli
