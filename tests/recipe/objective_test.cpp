// `objective` and `reward_passes`: which other keys they need, and which cannot act with them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "recipe_text.h"

namespace lmoe::recipe {
namespace {

using ::testing::HasSubstr;

constexpr const char* kByTask =
    "{experts: {count: 6}, gate: {source: task_id, net: self, default_task: 1},"
    " select: {kind: top_k, k: 1}, normalize: constant, losses: []}";

std::string preference(const std::string& keys, const std::string& mixture = kByTask) {
  return "datasets: [{path: d}]\nobjective: preference\nmixture: " + mixture + "\n" + keys;
}

TEST(Objective, IsALanguageModelUnlessToldOtherwise) {
  const Recipe recipe = read_text("datasets: [{path: d}]\n");
  EXPECT_EQ(recipe.objective.kind, Objective::kLanguageModel);
  EXPECT_EQ(effective_config(recipe)["objective"], "language_model");
}

TEST(Objective, HeadsFollowTheTasksThatDecideAboutExperts) {
  EXPECT_EQ(reward_heads(read_text(preference(""))), 6);
  EXPECT_EQ(reward_heads(read_text(preference("reward_passes: 3\n"))), 2);
  EXPECT_EQ(reward_heads(read_text(preference("", "{method: l-moe}"))), 1);
  EXPECT_EQ(reward_heads(read_text(preference("", "{method: lora}"))), 1);
}

TEST(Objective, RefusesWhatCannotAct) {
  EXPECT_THAT(message_of("datasets: [{path: d}]\nreward_passes: 2\n"),
              HasSubstr("reward_passes cannot act: given 2 with objective language_model"));
  EXPECT_THAT(message_of("datasets: [{path: d}]\nmixture: {method: dmoerm}\n"),
              HasSubstr("method dmoerm is a reward model: given objective language_model"));
  EXPECT_THAT(message_of(preference("train_on_inputs: true\n")), HasSubstr("train_on_inputs"));
  EXPECT_THAT(message_of(preference("roles_to_train: [user]\n")), HasSubstr("roles_to_train"));
  EXPECT_THAT(message_of(preference("", "{method: lora, prompts: {count: 2}}")),
              HasSubstr(": prompts cannot act with objective preference"));
  EXPECT_THAT(message_of(preference("reward_passes: 4\n")), HasSubstr("does not divide"));
  EXPECT_THAT(message_of(preference("reward_passes: 6\n")), HasSubstr("default_task: given 1"));
  EXPECT_THAT(message_of(preference("reward_passes: 2\n", "{method: l-moe}")),
              HasSubstr("expected task_id and self"));
  EXPECT_THAT(message_of("objective: preferences\n"), HasSubstr("preference"));
  EXPECT_THAT(message_of("datasets: [{path: d}]\ninit_reward_head: a\n"),
              HasSubstr("init_reward_head cannot act with objective language_model"));
  EXPECT_THAT(message_of(preference("init_reward_head: a\ninit_from: b\n")),
              HasSubstr("init_from, which brings its own head"));
  EXPECT_THAT(message_of(preference("init_reward_head: a\nreward_passes: 2\n")),
              HasSubstr("begins anew"));
}

/// A judged document is read as a whole; nothing says where its answer begins.
TEST(Objective, GatesMayPoolButNotTellAnswersFromPrompts) {
  const Recipe recipe = read_text(preference("", "{method: l-moe, gate: {pool: prompt}}"));
  EXPECT_EQ(recipe.mixture.gate.pool, spec::GatePool::kPrompt);
  EXPECT_THAT(message_of(preference("",
                                    "{method: l-moe, experts: {count: 5},"
                                    " select: {private_experts: 2, private_by: role}}")),
              HasSubstr("private_by role cannot act with objective preference"));
}

/// Routed by task alone, only a reward head is left to learn.
TEST(Objective, ExpertsRoutedByTaskAreFrozenForAHeadAlone) {
  const std::string mixture = std::string(kByTask).insert(1, "schedule: {freeze_experts: true}, ");
  EXPECT_TRUE(read_text(preference("", mixture)).mixture.schedule.freeze_experts);
  EXPECT_THAT(message_of("datasets: [{path: d}]\nmixture: " + mixture + "\n"),
              HasSubstr("leaves nothing to train"));
}

}  // namespace
}  // namespace lmoe::recipe
