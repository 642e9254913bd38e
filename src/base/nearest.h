// "Did you mean": the known name that is nearest to a mistyped one.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace lmoe {

/// Number of insertions, deletions, substitutions and neighbour swaps between two words.
size_t edit_distance(std::string_view a, std::string_view b);

/// The nearest of `known`, or empty when none is near enough to be meant (more than half its length
/// away).
std::string nearest_name(std::string_view given, std::span<const std::string> known);

}  // namespace lmoe
