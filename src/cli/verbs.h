// Every verb of lmoe, for `lmoe --help` and for choosing the program that runs it.
#pragma once

#include <span>

namespace lmoe::cli {

struct Verb {
  const char* name;
  const char* summary;
  bool needs_torch;
};

std::span<const Verb> all_verbs();

}  // namespace lmoe::cli
