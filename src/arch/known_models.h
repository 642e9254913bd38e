// Base models that come with lmoe.
#pragma once

#include <string>

namespace lmoe::arch {

/// The file of a known model, empty when the name is not one. Throws kNotFound when it is known but
/// not installed.
std::string find_known_model(const std::string& name);

}  // namespace lmoe::arch
