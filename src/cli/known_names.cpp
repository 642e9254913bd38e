#include "cli/known_names.h"

#include <algorithm>

#include "base/nearest.h"

namespace lmoe::cli {

std::string one_of(std::string_view given, std::span<const std::string> known) {
  constexpr size_t kShown = 20;
  std::string text;
  for (const std::string& name : known.first(std::min(known.size(), kShown)))
    text += (text.empty() ? "" : ", ") + name;
  if (known.empty()) text = "nothing";
  if (known.size() > kShown) text += ", …";
  const std::string nearest = nearest_name(given, known);
  return nearest.empty() ? text : text + "; nearest is \"" + nearest + "\"";
}

}  // namespace lmoe::cli
