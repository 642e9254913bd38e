#include "cli/option_arguments.h"

#include <algorithm>

namespace lmoe::cli {

std::string options_help(const std::vector<FieldInfo>& fields) {
  std::vector<std::string> keys;
  size_t width = 0;
  for (const FieldInfo& info : fields) {
    keys.push_back(info.name + "=" + info.default_value.dump());
    width = std::max(width, keys.back().size());
  }
  std::string text;
  for (size_t i = 0; i < fields.size(); ++i) {
    text += "  " + keys[i] + std::string(width + 2 - keys[i].size(), ' ') + fields[i].help;
    for (size_t c = 0; c < fields[i].choices.size(); ++c)
      text += (c == 0 ? ": " : ", ") + fields[i].choices[c];
    text += "\n";
  }
  return text;
}

}  // namespace lmoe::cli
