#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <sstream>

#include "base/config_node.h"
#include "base/error.h"
#include "base/files.h"

namespace lmoe {
namespace {

constexpr int kMaxDepth = 64;

/// Builds the tree from yaml-cpp's events: they carry marks for every node, and refusing anchors,
/// aliases and tags here means that nothing can expand.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string file) : file_(std::move(file)) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse(mark, "aliases (*name) are not allowed");
  }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    check_plain(mark, "", anchor);
    accept(ConfigNode{}, mark);
  }
  void OnScalar(const YAML::Mark& mark,
                const std::string& tag,
                YAML::anchor_t anchor,
                const std::string& value) override {
    check_plain(mark, tag, anchor);
    ConfigNode node;
    node.quoted = tag == "!";
    if (node.quoted || (value != "null" && value != "~" && !value.empty())) {
      node.kind = ConfigNode::Kind::kScalar;
      node.scalar = value;
    }
    accept(std::move(node), mark);
  }
  void OnSequenceStart(const YAML::Mark& mark,
                       const std::string& tag,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(ConfigNode::Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark,
                  const std::string& tag,
                  YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(ConfigNode::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

  ConfigNode take() { return std::move(root_); }

 private:
  struct Level {
    ConfigNode node;
    std::string key;
    bool has_key = false;
    SourcePosition key_where;
  };

  SourcePosition position(const YAML::Mark& mark) const { return {file_, mark.line + 1}; }

  [[noreturn]] void refuse(const YAML::Mark& mark, const std::string& reason) const {
    fail(ErrorCode::kInvalidArgument, "[config] ", position(mark).text(), ": ", reason);
  }

  void check_plain(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) const {
    if (anchor != 0) refuse(mark, "anchors (&name) are not allowed");
    if (!tag.empty() && tag != "?" && tag != "!")
      refuse(mark, "tags are not allowed: given " + tag);
  }

  void open(ConfigNode::Kind kind,
            const YAML::Mark& mark,
            const std::string& tag,
            YAML::anchor_t anchor) {
    check_plain(mark, tag, anchor);
    if (static_cast<int>(levels_.size()) >= kMaxDepth) refuse(mark, "nested deeper than 64 levels");
    if (!levels_.empty() && levels_.back().node.is_map() && !levels_.back().has_key)
      refuse(mark, "keys must be plain words");
    Level level;
    level.node.kind = kind;
    level.node.where = position(mark);
    levels_.push_back(std::move(level));
  }

  void close() {
    ConfigNode node = std::move(levels_.back().node);
    levels_.pop_back();
    store(std::move(node));
  }

  void accept(ConfigNode node, const YAML::Mark& mark) {
    node.where = position(mark);
    if (!levels_.empty() && levels_.back().node.is_map() && !levels_.back().has_key) {
      Level& level = levels_.back();
      if (const ConfigNode* earlier = level.node.find(node.scalar)) {
        refuse(mark, "key \"" + node.scalar + "\" is given twice, first in line " +
                         std::to_string(earlier->key_where.line));
      }
      level.key = node.scalar;
      level.has_key = true;
      level.key_where = node.where;
      return;
    }
    store(std::move(node));
  }

  void store(ConfigNode node) {
    if (levels_.empty()) {
      root_ = std::move(node);
      return;
    }
    Level& level = levels_.back();
    if (level.node.is_list()) {
      level.node.items.push_back(std::move(node));
      return;
    }
    node.key_where = level.key_where;
    level.node.entries.emplace_back(std::move(level.key), std::move(node));
    level.has_key = false;
  }

  std::string file_;
  ConfigNode root_;
  std::vector<Level> levels_;
};

void emit(YAML::Emitter& out, const Json& json) {
  if (json.is_object()) {
    out << YAML::BeginMap;
    for (const auto& [key, value] : json.items()) {
      out << YAML::Key << key << YAML::Value;
      emit(out, value);
    }
    out << YAML::EndMap;
  } else if (json.is_array()) {
    const bool flat =
        std::all_of(json.begin(), json.end(), [](const Json& item) { return item.is_primitive(); });
    if (flat) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (const Json& item : json) emit(out, item);
    out << YAML::EndSeq;
  } else if (json.is_string()) {
    const std::string& text = json.get_ref<const std::string&>();
    const ConfigNode parsed = [&] {
      try {
        return parse_config(text, "");
      } catch (const Error&) {
        return ConfigNode{};
      }
    }();
    const bool looks_like_text = parsed.is_scalar() && !parsed.quoted && parsed.scalar == text &&
                                 !Json::accept(text) && text != "true" && text != "false";
    if (!looks_like_text) out << YAML::DoubleQuoted;
    out << text;
  } else if (json.is_null()) {
    out << YAML::Null;
  } else {
    out << json.dump();  // numbers and booleans: JSON's shortest round-trip form
  }
}

}  // namespace

ConfigNode parse_config(std::string_view text, const std::string& file_name) {
  std::istringstream stream{std::string(text)};
  TreeBuilder builder(file_name);
  try {
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    TreeBuilder second(file_name);
    LMOE_CHECK_ARG(!parser.HandleNextDocument(second), "[config] ", file_name,
                   ": more than one document");
  } catch (const YAML::Exception& error) {
    fail(ErrorCode::kInvalidArgument, "[config] ",
         SourcePosition{file_name, error.mark.line + 1}.text(), ": not valid YAML: ", error.msg);
  }
  return builder.take();
}

ConfigNode read_config_file(const std::filesystem::path& path) {
  return parse_config(read_file(path), path.string());
}

ConfigNode config_from_json(const Json& json, const std::string& file_name) {
  ConfigNode node;
  node.where = node.key_where = {file_name, 0};
  if (json.is_object()) {
    node.kind = ConfigNode::Kind::kMap;
    for (const auto& [key, value] : json.items())
      node.entries.emplace_back(key, config_from_json(value, file_name));
  } else if (json.is_array()) {
    node.kind = ConfigNode::Kind::kList;
    for (const Json& item : json) node.items.push_back(config_from_json(item, file_name));
  } else if (!json.is_null()) {
    node.kind = ConfigNode::Kind::kScalar;
    node.quoted = json.is_string();
    node.scalar = json.is_string() ? json.get<std::string>() : json.dump();
  }
  return node;
}

std::string yaml_from_json(const Json& json) {
  YAML::Emitter out;
  emit(out, json);
  return std::string(out.c_str()) + "\n";
}

}  // namespace lmoe
