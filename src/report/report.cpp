#include "report/report.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string_view>

#include "base/error.h"
#include "report/assets.h"
#include "report/escape.h"

namespace lmoe::report {

namespace {

/// Six significant digits are more than a picture shows, and keep the page small.
void round_numbers(Json& value) {
  if (value.is_number_float()) {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", value.get<double>());
    value = std::strtod(text, nullptr);
  } else if (value.is_structured()) {
    for (Json& child : value) round_numbers(child);
  }
}

void check_types(const Json& data) {
  LMOE_CHECK_ARG(data.is_object(), "[report] data: given ", data.type_name(),
                 ", expected an object");
  const auto check = [&](const char* name, bool (Json::*is)() const, const char* expected) {
    LMOE_CHECK_ARG(!data.contains(name) || (data[name].*is)(), "[report] ", name, ": given ",
                   data[name].type_name(), ", expected ", expected);
  };
  for (const char* name : {"title", "subtitle"}) check(name, &Json::is_string, "text");
  for (const char* name : {"facts", "log", "scores", "ablation", "samples"})
    check(name, &Json::is_array, "a list");
  for (const char* name : {"router", "comparison", "prompts"})
    check(name, &Json::is_object, "an object");
}

/// Replaces each {{name}} in one pass: what is put in is never looked at again.
std::string fill(std::string_view page, const std::map<std::string_view, std::string_view>& parts) {
  std::string filled;
  while (true) {
    const size_t open = page.find("{{");
    filled += page.substr(0, open);
    if (open == std::string_view::npos) return filled;
    const size_t close = page.find("}}", open);
    filled += parts.at(page.substr(open + 2, close - open - 2));
    page.remove_prefix(close + 2);
  }
}

}  // namespace

std::string render_report(const Json& data) {
  check_types(data);
  Json shown = data;
  for (auto& [name, value] : shown.items())
    if (name != "recipe") round_numbers(value);
  if (shown.contains("recipe") && !shown["recipe"].is_string())
    shown["recipe"] = shown["recipe"].dump(2, ' ', false, Json::error_handler_t::replace);

  const std::string title = escape_html(data.value("title", "lmoe report"));
  const std::string json = json_for_script(shown);
  const Assets files = assets();
  return fill(files.page, {{"title", title},
                           {"style", files.style},
                           {"licence", files.licence},
                           {"d3", files.d3},
                           {"plot", files.plot},
                           {"data", json},
                           {"scripts", files.scripts}});
}

}  // namespace lmoe::report
