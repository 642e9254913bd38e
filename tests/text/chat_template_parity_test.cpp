// Byte for byte what jinja2 renders, and an error where it raises. See fixtures/chat_templates.
#include <gtest/gtest.h>

#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "text/chat_template.h"

namespace lmoe::text {
namespace {

const Json& cases() {
  static const Json json =
      Json::parse(read_file(fs::path(LMOE_FIXTURES) / "chat_templates" / "cases.json"));
  return json;
}

struct Outcome {
  std::optional<std::string> text;
  std::string error;
};

Outcome render(const std::string& source, const Json& variables) {
  try {
    return {ChatTemplate(source).render(variables), ""};
  } catch (const Error& error) {
    return {std::nullopt, error.what()};
  }
}

void expect_same(const Json& expected, const Outcome& outcome, const std::string& what) {
  if (expected.contains("error")) {
    EXPECT_FALSE(outcome.text) << what << "\n  jinja2: " << expected["error"]
                               << "\n  given:  " << outcome.text.value_or("");
  } else {
    ASSERT_TRUE(outcome.text) << what << "\n  error: " << outcome.error
                              << "\n  jinja2: " << expected["output"];
    EXPECT_EQ(*outcome.text, expected["output"].get<std::string>()) << what;
  }
}

TEST(ChatTemplateParity, TemplatesOverConversations) {
  ASSERT_GT(cases()["renders"].size(), 300u);
  for (const Json& item : cases()["renders"]) {
    const std::string name = item["template"], conversation = item["messages"];
    Json variables = cases()["special"];
    variables["messages"] = cases()["conversations"][conversation];
    variables.update(item["variables"]);
    expect_same(item, render(cases()["templates"][name], variables),
                std::string(name)
                    .append(" / ")
                    .append(conversation)
                    .append(" / ")
                    .append(item["variables"].dump(), 0, 60));
  }
}

TEST(ChatTemplateParity, Snippets) {
  ASSERT_GT(cases()["snippets"].size(), 400u);
  Json variables = cases()["variables"];
  variables["strftime_now_value"] = cases()["special"]["strftime_now_value"];
  for (const Json& item : cases()["snippets"]) {
    const std::string source = item["source"];
    expect_same(item, render(source, variables), source);
  }
}

}  // namespace
}  // namespace lmoe::text
