// Hostile texts: long runs, every byte, every code point. Only that they end and come back; nothing
// is timed.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <thread>

#include "text/detokenizer.h"
#include "text/tokenizer.h"
#include "text/unicode_normalize.h"
#include "text/utf8.h"

namespace lmoe::text {
namespace {

std::unique_ptr<Tokenizer> tiny(const std::string& name) {
  std::ifstream file(std::string(LMOE_FIXTURES) + "/tokenizers/tiny/" + name + ".json",
                     std::ios::binary);
  return tokenizer_from_json(std::string(std::istreambuf_iterator<char>(file), {}));
}

std::string repeated(std::string_view part, size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += part;
  return text;
}

void expect_round_trip(const Tokenizer& tokenizer, const std::string& text) {
  const auto ids = tokenizer.encode(text, {.add_special_tokens = false});
  EXPECT_TRUE(tokenizer.decode(ids) == text) << text.substr(0, 10);
}

TEST(Limits, TenMegabytesOfOneThing) {
  const auto words = tiny("llama3");
  for (const char* part : {"a", " ", "\u0301"})
    expect_round_trip(*words, repeated(part, 10'000'000));
  const auto whole_text = tiny("gemma2");
  expect_round_trip(*whole_text, repeated(" ", 10'000'000));
}

TEST(Limits, LongRuns) {
  for (const char* name : {"llama3", "gemma2", "gpt2", "smollm"}) {
    const auto tokenizer = tiny(name);
    for (const char* part : {"a", " ", "\n", "\u0301", "ab", " x", "'", "1", " \n"}) {
      expect_round_trip(*tokenizer, repeated(part, 200'000));
      expect_round_trip(*tokenizer, repeated(part, 200'000) + "x");
    }
  }
}

TEST(Limits, CombiningMarksInMixedOrderAreSorted) {
  // U+0301 has combining class 230, U+0316 has 220: all of the latter come first.
  const std::string text = "x" + repeated("\u0301\u0316", 4'000'000);
  const std::string sorted = unicode_normalize(text, NormalizationForm::kNfc);
  ASSERT_EQ(sorted.size(), text.size());
  EXPECT_EQ(sorted.substr(1, 2), "\u0316");
  EXPECT_EQ(sorted.rfind("\u0316") + 2, sorted.find("\u0301"));
}

TEST(Limits, EveryByteBecomesTextThatComesBack) {
  const auto tokenizer = tiny("gpt2");
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
  for (int byte = 0; byte < 256; ++byte) {
    for (const std::string& text :
         {std::string(1, static_cast<char>(byte)), bytes.substr(static_cast<size_t>(byte))}) {
      EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), replace_invalid_utf8(text));
    }
  }
}

TEST(Limits, EveryCodePointComesBack) {
  std::string text;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    // U+2581 stands for a space in SentencePiece's vocabularies.
    if ((c < 0xD800 || c > 0xDFFF) && c != 0x2581) append_utf8(text, c);
  }
  for (const char* name : {"gpt2", "llama3", "tekken", "gemma2"}) {
    const auto tokenizer = tiny(name);
    EXPECT_TRUE(tokenizer->decode(tokenizer->encode(text)) == text) << name;
  }
}

TEST(Limits, OneTokenizerServesManyThreads) {
  const auto tokenizer = tiny("llama3");
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += " word" + std::to_string(i * 7919 % 5000);
  const auto expected = tokenizer->encode(text);
  std::vector<std::vector<TokenId>> results(4);
  std::vector<std::thread> threads;
  for (auto& result : results) threads.emplace_back([&] { result = tokenizer->encode(text); });
  for (auto& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, expected);
}

}  // namespace
}  // namespace lmoe::text
