// `lmoe schema`: every key a recipe may have.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>

#include "cli/torch_free_commands.h"
#include "recipe/recipe.h"

namespace lmoe::cli {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string bounds(const FieldInfo& info) {
  if (std::isinf(info.minimum) && std::isinf(info.maximum)) return {};
  return bound_text(info.minimum) + " to " + bound_text(info.maximum);
}

void print_fields(const std::vector<FieldInfo>& fields, const std::string& indent) {
  for (const FieldInfo& info : fields) {
    std::printf("%s%s  (%s", indent.c_str(), info.name.c_str(), info.type.c_str());
    if (!info.choices.empty()) std::printf(": %s", joined(info.choices).c_str());
    if (info.fields.empty()) std::printf("; default %s", info.default_value.dump().c_str());
    if (const std::string range = bounds(info); !range.empty()) std::printf("; %s", range.c_str());
    std::printf(")\n%s    %s", indent.c_str(), info.help.c_str());
    if (!info.aliases.empty()) std::printf(" [also: %s]", joined(info.aliases).c_str());
    std::printf("\n");
    print_fields(info.fields, indent + "    ");
  }
}

Json fields_json(const std::vector<FieldInfo>& fields) {
  Json list = Json::array();
  for (const FieldInfo& info : fields) {
    Json item = {{"name", info.name}, {"type", info.type}, {"help", info.help}};
    if (info.fields.empty()) item["default"] = info.default_value;
    if (!info.section.empty()) item["section"] = info.section;
    if (!std::isinf(info.minimum)) item["minimum"] = info.minimum;
    if (!std::isinf(info.maximum)) item["maximum"] = info.maximum;
    if (!info.aliases.empty()) item["aliases"] = info.aliases;
    if (!info.choices.empty()) item["choices"] = info.choices;
    if (!info.fields.empty()) item["fields"] = fields_json(info.fields);
    list.push_back(std::move(item));
  }
  return list;
}

}  // namespace

int run_schema(const std::vector<std::string>& arguments) {
  CLI::App app{
      "Prints every key of a recipe: type, default, range, help, "
      "other spellings.",
      "lmoe schema"};
  app.footer("examples:\n  lmoe schema\n  lmoe schema --json > schema.json");
  bool as_json = false;
  app.add_flag("--json", as_json, "machine-readable");
  if (const ParseOutcome outcome = parse_arguments(app, arguments); outcome.finished)
    return outcome.exit_code;

  const std::vector<FieldInfo> fields = recipe::recipe_schema();
  if (as_json) {
    std::printf("%s\n", fields_json(fields).dump(2).c_str());
  } else {
    print_fields(fields, "");
  }
  return 0;
}

}  // namespace lmoe::cli
