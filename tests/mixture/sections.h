// Mixtures of tests, written as in a recipe.
#pragma once

#include <string>

#include "base/error.h"
#include "spec/mixture_spec.h"

namespace lmoe::test {

/// `section`: the value of `mixture:`.
inline spec::MixtureSpec read_section(const std::string& section) {
  ReadReport report;
  return spec::read_mixture(parse_config(section, "test"), report);
}

/// What the Error says that `function` throws, or "accepted".
template <class Function>
std::string refusal(Function&& function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

inline std::string refusal_of(const std::string& section) {
  return refusal([&] { read_section(section); });
}

}  // namespace lmoe::test
