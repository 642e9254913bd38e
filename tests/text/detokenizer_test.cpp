#include "text/detokenizer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "text/utf8.h"

namespace lmoe::text {
namespace {

std::unique_ptr<Tokenizer> tiny(const std::string& name) {
  std::ifstream file(std::string(LMOE_FIXTURES) + "/tokenizers/tiny/" + name + ".json",
                     std::ios::binary);
  return tokenizer_from_json(std::string(std::istreambuf_iterator<char>(file), {}));
}

const std::string kText = "  Caf\u00E9 \U0001F468\u200D\U0001F469\u200D\U0001F467 \u65E5\u672C x\n";

class Streams : public testing::TestWithParam<std::string> {};

TEST_P(Streams, PiecesAreWholeCharactersAndJoinToTheText) {
  const auto tokenizer = tiny(GetParam());
  const auto ids = tokenizer->encode(kText);
  Detokenizer stream(*tokenizer);
  std::string joined;
  for (const TokenId id : ids) {
    const std::string piece = stream.add(id);
    EXPECT_TRUE(is_valid_utf8(piece));
    EXPECT_EQ(piece.find("\uFFFD"), std::string::npos);
    joined += piece;
  }
  EXPECT_EQ(stream.finish(), "");
  EXPECT_EQ(joined, kText);
  EXPECT_EQ(joined, tokenizer->decode(ids));
}

TEST_P(Streams, TokenBytesJoinToTheText) {
  const auto tokenizer = tiny(GetParam());
  std::string bytes;
  for (const TokenId id : tokenizer->encode(kText, {.add_special_tokens = false}))
    bytes += tokenizer->token_bytes(id);
  if (tokenizer->strips_leading_space()) {
    ASSERT_EQ(bytes[0], ' ');
    bytes.erase(0, 1);
  }
  EXPECT_EQ(bytes, kText);
}

INSTANTIATE_TEST_SUITE_P(Tokenizers,
                         Streams,
                         testing::Values("gpt2", "llama3", "llama2", "gemma2"));

TEST(Detokenizer, HoldsBackAnUnfinishedCharacter) {
  const auto tokenizer = tiny("gpt2");
  const auto ids = tokenizer->encode("\U0001F9EA");
  ASSERT_GT(ids.size(), 1U);
  Detokenizer stream(*tokenizer);
  EXPECT_EQ(stream.add(ids[0]), "");
  EXPECT_EQ(stream.finish(), "\uFFFD");
  EXPECT_EQ(stream.finish(), "");
}

TEST(Detokenizer, SpecialTokensAreSkippedOrShown) {
  const auto tokenizer = tiny("smollm");
  const TokenId end = *tokenizer->token_to_id("<|im_end|>");
  EXPECT_EQ(Detokenizer(*tokenizer).add(end), "");
  EXPECT_EQ(Detokenizer(*tokenizer, /*skip_special=*/false).add(end), "<|im_end|>");
}

}  // namespace
}  // namespace lmoe::text
