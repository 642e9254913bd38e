// The list of methods: each is a preset of MixtureSpec in a file of its own under methods/.
#pragma once

#include <span>
#include <string>

#include "spec/mixture_spec.h"

namespace lmoe::spec {

struct MethodInfo {
  const char* name;       ///< lower-case paper name: "l-moe"
  const char* summary;    ///< one line
  const char* reference;  ///< paper or library the defaults come from
  MixtureSpec (*preset)();
  bool is_reward_model = false;  ///< its recipes have `objective: preference`
};

/// All methods, in the order of `lmoe methods`.
std::span<const MethodInfo> all_methods();

/// Throws kNotFound with the nearest known name.
const MethodInfo& find_method(const std::string& name);

}  // namespace lmoe::spec
