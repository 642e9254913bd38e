// Finding keys of a recipe tree under any of their spellings.
#pragma once

#include <string_view>

#include "base/config_node.h"

namespace lmoe::recipe {

/// The value of `key` under its own name or an alias; null when the tree has none or a null.
const ConfigNode* given(const ConfigNode& tree, std::string_view key);

bool from_command_line(const ConfigNode& node);

/// Same kind and text, wherever written.
bool same_value(const ConfigNode& a, const ConfigNode& b);

/// Where the command line sets a key, other spellings and contrary keys of the file are removed.
void let_command_line_win(ConfigNode& tree);

}  // namespace lmoe::recipe
