#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "recipe/recipe_text.h"

namespace lmoe::recipe {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(LoraKeys, ReachTheExperts) {
  const spec::MixtureSpec mixture =
      read_text(
          "adapter: lora\nlora_rank: 16\nlora_alpha: 24\ndropout: 0.1\nuse_rslora: true\n"
          "use_dora: true\n"
          "lora_target: q_proj, v_proj\n")
          .mixture;
  EXPECT_EQ(mixture.method, "lora");
  EXPECT_EQ(mixture.experts.rank, 16);
  EXPECT_EQ(mixture.experts.alpha, 24);
  EXPECT_EQ(mixture.experts.dropout, 0.1);
  EXPECT_TRUE(mixture.experts.use_rslora);
  EXPECT_TRUE(mixture.experts.use_dora);
  EXPECT_THAT(mixture.target_modules, ElementsAre("q_proj", "v_proj"));
}

TEST(LoraKeys, LayersAreThoseOfTheMixture) {
  for (const char* key :
       {"peft_layers_to_transform", "layers_to_transform", "lora_layers_to_transform"})
    EXPECT_THAT(read_text(std::string(key) + ": [3, 1]\n").mixture.layers_to_transform,
                ElementsAre(3, 1));
  EXPECT_THAT(read_text("mixture: {layers_to_transform: [2]}\n").mixture.layers_to_transform,
              ElementsAre(2));
  EXPECT_THAT(message_of("layers_to_transform: [1, 1]\n"), HasSubstr("given 1 twice"));
  EXPECT_THAT(message_of("layers_to_transform: [-1]\n"), HasSubstr("counted from 0"));
}

TEST(LoraKeys, AdapterNamesTheMethod) {
  EXPECT_EQ(read_text("peft_type: LORA\n").mixture.method, "lora");
  EXPECT_THAT(notes_of("peft_type: LORA\n"),
              Contains("\"adapter: LORA\" read as \"adapter: lora\""));
  EXPECT_EQ(read_text("adapter: l-moe\nmixture: {method: l-moe}\n").mixture.method, "l-moe");
  EXPECT_THAT(message_of("adapter: lora\nmixture:\n  method: l-moe\n"),
              HasSubstr("\"adapter\" and \"mixture.method\""));
  EXPECT_THAT(message_of("adapter: qlora\n"), HasSubstr("4 bits is not built"));
  EXPECT_THAT(message_of("\nadapter: lorra\n"), HasSubstr("r.yaml:2: "));
}

TEST(LoraKeys, TargetsInEveryForm) {
  for (const char* text : {"lora_target_modules: all-linear\n", "lora_target: all\n",
                           "lora_target_linear: true\n", "mixture: {target_modules: all-linear}\n"})
    EXPECT_THAT(read_text(text).mixture.target_modules, SizeIs(7)) << text;
  EXPECT_THAT(
      read_text("keys: {q_proj: true, k_proj: false, v_proj: true}\n").mixture.target_modules,
      ElementsAre("q_proj", "v_proj"));
  EXPECT_THAT(message_of("keys: {q_proj: maybe}\n"), HasSubstr("expected true or false"));
  EXPECT_THAT(message_of("lora_target_linear: true\nlora_target_modules: [q_proj]\n"),
              HasSubstr("contradicts lora_target_modules"));
  EXPECT_THAT(message_of("lora_target_modules: []\n"), HasSubstr("target_modules is empty"));
}

TEST(LoraKeys, TwiceWithDifferentValuesIsAnErrorNamingBothLines) {
  EXPECT_EQ(read_text("lora_r: 4\nmixture: {experts: {rank: 4}}\n").mixture.experts.rank, 4);
  const std::string message = message_of("lora_r: 4\nmixture:\n  experts:\n    rank: 8\n");
  EXPECT_THAT(message, HasSubstr("r.yaml:1: \"lora_r\" and \"mixture.experts.rank\""));
  EXPECT_THAT(message, HasSubstr("r.yaml:4"));
}

TEST(LoraKeys, TheCommandLineWinsOverTheMixture) {
  EXPECT_EQ(read_text("mixture: {experts: {rank: 8}}\n", {"lora_r=2"}).mixture.experts.rank, 2);
  EXPECT_EQ(read_text("lora_r: 2\n", {"mixture.experts.rank=8"}).mixture.experts.rank, 8);
  EXPECT_EQ(read_text("lora_target_modules: [q_proj]\n", {"lora_target_linear=true"})
                .mixture.target_modules.size(),
            7u);
}

TEST(LoraKeys, RangesAreThoseOfTheFlatKey) {
  EXPECT_THAT(message_of("lora_r: 0\n"), HasSubstr("lora_r: given \"0\""));
  EXPECT_THAT(message_of("lora_alpha: nan\n"), HasSubstr("lora_alpha"));
}

}  // namespace
}  // namespace lmoe::recipe
