#include "base/config_node.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace lmoe {

std::string SourcePosition::text() const {
  return line > 0 ? file + ":" + std::to_string(line) : file;
}

const ConfigNode* ConfigNode::find(std::string_view key) const {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const auto& entry) { return entry.first == key; });
  return found == entries.end() ? nullptr : &found->second;
}

ConfigNode* ConfigNode::find(std::string_view key) {
  return const_cast<ConfigNode*>(static_cast<const ConfigNode*>(this)->find(key));
}

ConfigNode& ConfigNode::set(std::string_view key, ConfigNode value) {
  kind = Kind::kMap;
  if (ConfigNode* present = find(key)) {
    *present = std::move(value);
    return *present;
  }
  entries.emplace_back(std::string(key), std::move(value));
  return entries.back().second;
}

void ConfigNode::erase(std::string_view key) {
  std::erase_if(entries, [&](const auto& entry) { return entry.first == key; });
}

namespace {

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> parts;
  while (true) {
    const size_t dot = path.find('.');
    std::string part(path.substr(0, dot));
    std::replace(part.begin(), part.end(), '-', '_');
    parts.push_back(std::move(part));
    if (dot == std::string_view::npos) return parts;
    path.remove_prefix(dot + 1);
  }
}

ConfigNode& descend(ConfigNode& node, const std::string& part, std::string_view assignment) {
  if (!node.is_list()) {
    if (node.is_scalar()) node = ConfigNode{};
    node.kind = ConfigNode::Kind::kMap;
    if (ConfigNode* child = node.find(part)) return *child;
    return node.set(part, ConfigNode{});
  }
  size_t index = 0;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
  LMOE_CHECK_ARG(
      error == std::errc{} && end == part.data() + part.size() && index <= node.items.size(),
      "[config] command line: \"", assignment, "\": ", part, " is no position in a list of ",
      node.items.size(), "; hint: count from 0");
  if (index == node.items.size()) node.items.emplace_back();
  return node.items[index];
}

}  // namespace

void set_override(ConfigNode& root, std::string_view assignment) {
  const size_t equals = assignment.find('=');
  LMOE_CHECK_ARG(equals != std::string_view::npos && equals > 0,
                 "[config] command line: cannot read \"", assignment, "\": expected key=value");
  ConfigNode value = parse_config(assignment.substr(equals + 1), "command line");
  value.where = value.key_where = {"command line", 0};
  ConfigNode* node = &root;
  for (const std::string& part : split_path(assignment.substr(0, equals)))
    node = &descend(*node, part, assignment);
  const bool is_second = node->where.file == value.where.file && node->where.line == 0;
  LMOE_CHECK_ARG(!is_second, "[config] command line: ", assignment.substr(0, equals),
                 " is given twice: the second time ", assignment.substr(equals + 1),
                 ", expected one value; hint: a list is written key=[a, b]");
  *node = std::move(value);
}

}  // namespace lmoe
