#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/detokenizer.h"
#include "text/tokenizer.h"

namespace lmoe::text {
namespace {

using testing::ElementsAre;

GgufVocabulary byte_level_vocabulary() {
  GgufVocabulary v;
  v.model = "gpt2";
  v.pre = "gpt-2";
  v.tokens = {"<|end|>"};
  v.token_types = {3};
  for (int c = '!'; c <= '~'; ++c) v.tokens.emplace_back(1, static_cast<char>(c));
  for (const char* token : {"\u0120", "\u010A", "ab", "\u0120ab"}) v.tokens.emplace_back(token);
  v.token_types.resize(v.tokens.size(), 1);
  v.merges = {"a b", "\u0120 ab"};
  v.special.eos = 0;
  return v;
}

TEST(GgufTokenizer, MergesAndFindsSpecialTokens) {
  const auto tokenizer = tokenizer_from_gguf(byte_level_vocabulary());
  const TokenId ab = *tokenizer->token_to_id("ab");
  const TokenId space_ab = *tokenizer->token_to_id("\u0120ab");
  EXPECT_THAT(tokenizer->encode("ab ab<|end|>"), ElementsAre(ab, space_ab, 0));
  EXPECT_EQ(tokenizer->decode(std::vector<TokenId>{ab, space_ab, 0}), "ab ab");
  EXPECT_EQ(tokenizer->decode(std::vector<TokenId>{ab, 0}, /*skip_special=*/false), "ab<|end|>");
  EXPECT_EQ(tokenizer->special_tokens().eos, 0);
  EXPECT_TRUE(tokenizer->is_special(0));
}

TEST(GgufTokenizer, SpecialTextStaysTextWhenAskedTo) {
  const auto tokenizer = tokenizer_from_gguf(byte_level_vocabulary());
  const auto ids = tokenizer->encode("<|end|>", {.parse_special = false});
  EXPECT_EQ(ids.size(), 7U);
  EXPECT_EQ(tokenizer->decode(ids), "<|end|>");
}

TEST(GgufTokenizer, SurvivesTheWayThroughJson) {
  const auto tokenizer = tokenizer_from_gguf(byte_level_vocabulary());
  const auto again = tokenizer_from_json(tokenizer_to_json(*tokenizer));
  EXPECT_EQ(again->encode("ab cab<|end|> x"), tokenizer->encode("ab cab<|end|> x"));
  EXPECT_EQ(again->special_tokens().eos, 0);
  EXPECT_EQ(again->vocab_size(), tokenizer->vocab_size());
}

}  // namespace
}  // namespace lmoe::text
