// `key=value` arguments into an option struct, and the list of keys for --help.
#pragma once

#include <string>
#include <vector>

#include "base/log.h"
#include "base/options.h"

namespace lmoe::cli {

/// "  temperature=0        0 takes the most likely token; …" per field.
std::string options_help(const std::vector<FieldInfo>& fields);

/// Reads overrides as parse_arguments collects them; notes on aliases go to the log. Throws
/// kInvalidArgument.
template <options_detail::Struct T>
void read_overrides(const std::vector<std::string>& overrides, T& options) {
  ConfigNode root;
  root.kind = ConfigNode::Kind::kMap;
  for (const std::string& text : overrides) set_override(root, text);
  ReadReport report;
  OptionReader(report).read(root, options);
  for (const std::string& note : report.notes) log().info("note: {}", note);
}

}  // namespace lmoe::cli
