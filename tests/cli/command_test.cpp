#include "cli/command.h"

#include <CLI/CLI.hpp>

#include <gtest/gtest.h>

#include "cli/known_names.h"

namespace lmoe::cli {
namespace {

TEST(ParseArguments, TellsSettingsFromValues) {
  CLI::App app{"test", "test"};
  std::string prompt;
  std::string run;
  bool json = false;
  app.add_option("run", run);
  app.add_option("--prompt,-p", prompt);
  app.add_flag("--json", json);
  std::vector<std::string> overrides;
  const ParseOutcome outcome = parse_arguments(
      app, {"runs/a=b", "--prompt", "x=5", "--json", "seed=3", "--top-k", "7", "--min-p=0.1"},
      &overrides);
  EXPECT_FALSE(outcome.finished);
  EXPECT_EQ(run, "runs/a=b");
  EXPECT_EQ(prompt, "x=5");
  EXPECT_TRUE(json);
  EXPECT_EQ(overrides, (std::vector<std::string>{"seed=3", "top-k=7", "min-p=0.1"}));
}

TEST(ParseArguments, MistakesEndWithCodeTwo) {
  CLI::App app{"test", "test"};
  std::string prompt;
  app.add_option("--prompt", prompt)->required();
  EXPECT_EQ(parse_arguments(app, {}).exit_code, 2);
  EXPECT_TRUE(parse_arguments(app, {"--prompt"}).finished);
}

TEST(KnownNames, AreListedWithTheNearest) {
  const std::vector<std::string> known = {"arc", "boolq", "scan"};
  EXPECT_EQ(one_of("scam", known), "arc, boolq, scan; nearest is \"scan\"");
  EXPECT_EQ(one_of("zzzzzz", known), "arc, boolq, scan");
  EXPECT_EQ(one_of("x", {}), "nothing");
  EXPECT_TRUE(one_of("x", std::vector<std::string>(21, "name")).ends_with("name, …"));
}

}  // namespace
}  // namespace lmoe::cli
