#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "text/tokenizer.h"

namespace lmoe::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

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

GgufVocabulary sentencepiece_vocabulary() {
  GgufVocabulary v;
  v.model = "llama";
  v.tokens = {"<unk>", "<s>", "</s>"};
  v.token_types = {2, 3, 3};
  for (int byte = 0; byte < 256; ++byte) {
    char token[8];
    std::snprintf(token, sizeof token, "<0x%02X>", static_cast<unsigned>(byte));
    v.tokens.emplace_back(token);
    v.token_types.push_back(6);
  }
  for (const char* token : {"\u2581", "a", "b", "\u2581a", "ab"}) v.tokens.emplace_back(token);
  v.token_types.resize(v.tokens.size(), 1);
  v.scores.assign(v.tokens.size(), 0);
  v.scores[v.tokens.size() - 2] = -2;  // "▁a"
  v.scores[v.tokens.size() - 1] = -1;  // "ab" is merged before it
  v.special = {1, 2, 0, std::nullopt};
  v.add_bos = true;
  return v;
}

void expect_error(const GgufVocabulary& v, const std::string& message) {
  try {
    tokenizer_from_gguf(v);
    ADD_FAILURE() << "no error; expected: " << message;
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(message));
  }
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
  for (const auto& v : {byte_level_vocabulary(), sentencepiece_vocabulary()}) {
    const auto tokenizer = tokenizer_from_gguf(v);
    const std::string json = tokenizer_to_json(*tokenizer);
    const auto again = tokenizer_from_json(json);
    EXPECT_EQ(again->encode("ab cab<|end|></s> x"), tokenizer->encode("ab cab<|end|></s> x"));
    EXPECT_EQ(again->special_tokens().eos, v.special.eos);
    EXPECT_EQ(again->vocab_size(), tokenizer->vocab_size());
    EXPECT_EQ(tokenizer_to_json(*again), json);
  }
}

TEST(GgufTokenizer, ScoresOrderTheMerges) {
  const auto tokenizer = tokenizer_from_gguf(sentencepiece_vocabulary());
  const TokenId space = *tokenizer->token_to_id("\u2581");
  const TokenId ab = *tokenizer->token_to_id("ab");
  EXPECT_THAT(tokenizer->encode("ab"), ElementsAre(1, space, ab));
  // "\u00E9" has no token of its own: C3 A9.
  EXPECT_THAT(tokenizer->encode("a\u00E9"),
              ElementsAre(1, *tokenizer->token_to_id("\u2581a"), 3 + 0xC3, 3 + 0xA9));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("a\u00E9 b")), "a\u00E9 b");
}

TEST(GgufTokenizer, UnknownKindsAreNamedWithTheKnown) {
  GgufVocabulary v = byte_level_vocabulary();
  v.pre = "bloom";
  expect_error(v, "unknown pre-tokenizer 'bloom'; known: default, gpt-2, smollm, llama-bpe");
  v = byte_level_vocabulary();
  v.model = "t5";
  expect_error(v, "unknown kind 't5'; known: gpt2, llama");
}

TEST(GgufTokenizer, MalformedLists) {
  GgufVocabulary v = byte_level_vocabulary();
  v.tokens.clear();
  expect_error(v, "tokens is missing or empty");
  v = byte_level_vocabulary();
  v.token_types.pop_back();
  expect_error(v, "token_type does not fit the vocabulary");
  v = byte_level_vocabulary();
  v.token_types[3] = 9;
  expect_error(v, "token_type: entry 3 is unknown");
  v = byte_level_vocabulary();
  v.tokens[3] = v.tokens[2];
  expect_error(v, "is given twice");
  v = byte_level_vocabulary();
  v.tokens[3] = "\xFF";
  expect_error(v, "token 3 is not valid UTF-8");
  v = byte_level_vocabulary();
  v.merges[0] = "ab";
  expect_error(v, "merge 0 is malformed");
  v = byte_level_vocabulary();
  v.merges[0] = "a c";
  expect_error(v, "needs the token 'ac'");
}

TEST(GgufTokenizer, SpecialIdsBeyondTheVocabulary) {
  for (const TokenId id : {-1, 1'000'000}) {
    GgufVocabulary v = byte_level_vocabulary();
    v.special.eos = id;
    expect_error(v, "eos_token_id is beyond the vocabulary");
    v = sentencepiece_vocabulary();
    v.special.bos = id;
    expect_error(v, "bos_token_id is beyond the vocabulary");
    v = sentencepiece_vocabulary();
    v.special.unk = id;
    expect_error(v, "unk_token_id is beyond the vocabulary");
  }
}

TEST(GgufTokenizer, ByteTokensAreReadStrictly) {
  GgufVocabulary v = sentencepiece_vocabulary();
  v.tokens[3] = "<0x-1>";
  expect_error(v, "marked as a byte: given '<0x-1>'");
  v = sentencepiece_vocabulary();
  v.tokens[3] = "zero";
  v.token_types[3] = 1;
  expect_error(v, "the byte token <0x00> is missing");
  v = sentencepiece_vocabulary();
  v.scores.clear();
  expect_error(v, "scores is missing");
  v = sentencepiece_vocabulary();
  v.scores[5] = std::numeric_limits<double>::quiet_NaN();
  expect_error(v, "scores: entry 5 is not a number");
}

}  // namespace
}  // namespace lmoe::text
