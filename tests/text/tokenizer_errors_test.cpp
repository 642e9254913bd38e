// Malformed tokenizer files: each gives one clear error that names the part.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "text/tokenizer.h"

namespace lmoe::text {
namespace {

using testing::HasSubstr;

/// A sound tokenizer.json for a tiny language, to be broken in one place.
Json sound() {
  return Json::parse(R"({
    "added_tokens": [{"id": 4, "content": "<s>", "special": true}],
    "normalizer": null,
    "pre_tokenizer": null,
    "post_processor": {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
      "special_tokens": {"<s>": {"id": "<s>", "ids": [4], "tokens": ["<s>"]}}},
    "decoder": {"type": "Fuse"},
    "model": {"type": "BPE", "unk_token": "?", "vocab": {"a": 0, "b": 1, "?": 2, "ab": 3}, "merges": ["a b"]}
  })");
}

void expect_error(const std::string& json, ErrorCode code, const std::string& message) {
  try {
    tokenizer_from_json(json);
    ADD_FAILURE() << "no error; expected: " << message;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(message));
  }
}

void expect_corrupt(const Json& json, const std::string& message) {
  expect_error(json.dump(), ErrorCode::kCorruptData, message);
}

void expect_unsupported(const Json& json, const std::string& message) {
  expect_error(json.dump(), ErrorCode::kUnsupported, message);
}

Json with(const char* pointer, const Json& value) {
  Json json = sound();
  json[Json::json_pointer(pointer)] = value;
  return json;
}

TEST(TokenizerErrors, TheSoundFileIsSound) {
  const auto tokenizer = tokenizer_from_json(sound().dump());
  EXPECT_THAT(tokenizer->encode("abc"), testing::ElementsAre(4, 3, 2));
}

TEST(TokenizerErrors, BrokenJson) {
  const std::string whole = sound().dump();
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THROW(tokenizer_from_json(whole.substr(0, length)), Error) << length;
  }
  expect_error("[]", ErrorCode::kCorruptData, "must be a JSON object");
  expect_error("{\"a\": 1, \"a\": 2}", ErrorCode::kCorruptData, "'a' is given twice");
  expect_error("{\"a\": \"\xFF\"}", ErrorCode::kCorruptData, "not valid JSON");
  const std::string deep = "{\"a\":" + std::string(1'000'000, '[');
  expect_error(deep, ErrorCode::kCorruptData, "nested deeper");
}

TEST(TokenizerErrors, Vocabulary) {
  expect_corrupt(with("/model/vocab", Json::object()), "model.vocab is missing or empty");
  expect_corrupt(with("/model/vocab/x", 1), "id 1 is given twice");
  expect_corrupt(with("/model/vocab/x", -1), "out of range");
  expect_corrupt(with("/model/vocab/x", 4'000'000'000), "out of range");
  expect_corrupt(with("/model/vocab/x", 2'000'000'000), "beyond any vocabulary");
  expect_corrupt(with("/model/vocab/x", "1"), "model.vocab: entry 4");
  expect_corrupt(with("/model/vocab/x", 1.5), "model.vocab: entry 4");
  expect_corrupt(with("/model/vocab/x", Json::array()), "model.vocab: entry 4");
  expect_corrupt(with("/model/vocab", Json::array()), "model.vocab is missing or empty");
  expect_corrupt(with("/model/unk_token", "none"), "unk_token 'none' is not in the vocabulary");
  std::string twice = sound().dump();
  twice.replace(twice.find("\"b\":1"), 5, "\"a\":1");
  expect_error(twice, ErrorCode::kCorruptData, "the token 'a' is given twice");
}

TEST(TokenizerErrors, Merges) {
  expect_corrupt(with("/model/merges", {"ab"}), "merge 0 is malformed");
  expect_corrupt(with("/model/merges", {"a b", "a b c"}), "merge 1 is malformed");
  expect_corrupt(with("/model/merges", {1}), "model.merges: entry 0");
  expect_corrupt(with("/model/merges/0", Json::array({"a"})), "model.merges: entry 0");
  expect_corrupt(with("/model/merges/0", Json::array({"a", "b", "c"})), "model.merges: entry 0");
  expect_corrupt(with("/model/merges/0", Json::array({"a", 1})), "model.merges: entry 0");
  expect_corrupt(with("/model/merges", {"a x"}), "needs the token 'x'");
  expect_corrupt(with("/model/merges", {"b a"}), "needs the token 'ba'");
}

TEST(TokenizerErrors, ByteTokens) {
  Json json = with("/model/unk_token", nullptr);
  json["model"]["byte_fallback"] = true;
  expect_corrupt(json, "the token '<0x00>' of byte 0 is missing");
  json = with("/model/unk_token", nullptr);
  json["pre_tokenizer"] = {{"type", "ByteLevel"}};
  expect_corrupt(json, "of byte 10 is missing");
}

TEST(TokenizerErrors, AddedTokensAndTemplates) {
  const Json extra = {{"id", 0}, {"content", "<x>"}, {"special", true}};
  expect_corrupt(with("/added_tokens/1", extra), "belongs to another token");
  expect_corrupt(with("/added_tokens/1", {{"id", 7}, {"content", "a"}}), "but id 0 in model.vocab");
  expect_corrupt(with("/added_tokens/1", {{"id", 4}, {"content", "<y>"}}), "id 4 is given twice");
  expect_corrupt(with("/added_tokens/1", {{"id", 5}, {"content", "<s>"}}), "'<s>' is given twice");
  expect_corrupt(with("/added_tokens/0/id", -3), "id out of range");
  expect_corrupt(with("/added_tokens/0/id", 1 << 30), "id out of range");
  expect_corrupt(with("/added_tokens/0/id", "4"), "added_tokens[0].id must be an integer");
  expect_corrupt(with("/added_tokens/0/special", 1), "must be true or false");
  expect_corrupt(with("/added_tokens", "x"), "added_tokens must be an array");
  expect_corrupt(with("/post_processor/special_tokens/<s>/ids", {5}), "id beyond the vocabulary");
  expect_corrupt(with("/post_processor/special_tokens", Json::object()), "<s> is missing");
  expect_unsupported(with("/post_processor/single/0", {{"Sequence", {{"id", "A"}}}}),
                     "must hold A once");
}

TEST(TokenizerErrors, UnknownPartsAreNamed) {
  const Json unknown = {{"type", "Nmt"}};
  expect_unsupported(with("/normalizer", unknown), "normalizer of type 'Nmt'");
  expect_unsupported(with("/pre_tokenizer", unknown), "pre_tokenizer of type 'Nmt'");
  expect_unsupported(with("/decoder", unknown), "decoder of type 'Nmt'");
  expect_unsupported(with("/post_processor", unknown), "post_processor of type 'Nmt'");
  expect_unsupported(with("/model/type", "Unigram"), "model.type 'Unigram'");
  expect_unsupported(with("/model/dropout", 0.1), "model.dropout");
  expect_unsupported(with("/model/continuing_subword_prefix", "##"), "continuing_subword_prefix");
  expect_unsupported(with("/model/end_of_word_suffix", "</w>"), "end_of_word_suffix");
  const Json sequence = {{"type", "Sequence"},
                         {"normalizers", Json::array({{{"type", "NFC"}}, unknown})}};
  expect_unsupported(with("/normalizer", sequence), "normalizer[1] of type 'Nmt'");
}

TEST(TokenizerErrors, Patterns) {
  const auto split = [](const char* pattern) {
    return with("/pre_tokenizer",
                {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}});
  };
  expect_corrupt(split("(a"), "pre_tokenizer.pattern: bad regular expression '(a'");
  expect_unsupported(split("[a&&b]"), "an intersection");
  expect_unsupported(split("(*LIMIT_MATCH=1)a"), "(*VERB)");
  expect_corrupt(with("/normalizer", {{"type", "Replace"}, {"pattern", "a"}, {"content", ""}}),
                 "normalizer.pattern must be");
}

TEST(TokenizerErrors, APatternThatBacktracksWithoutEndIsStopped) {
  const auto tokenizer = tokenizer_from_json(
      with("/pre_tokenizer",
           {{"type", "Split"}, {"pattern", {{"Regex", "(a+)+$"}}}, {"behavior", "Isolated"}})
          .dump());
  EXPECT_THROW(tokenizer->encode(std::string(60, 'a') + "b"), Error);
  EXPECT_EQ(tokenizer->encode("ab").size(), 2U);
}

TEST(TokenizerErrors, Config) {
  const std::string json = sound().dump();
  const auto tokenizer = tokenizer_from_json(
      json,
      R"({"bos_token": {"content": "<s>"}, "eos_token": "b", "add_bos_token": false, "add_eos_token": true})");
  EXPECT_EQ(tokenizer->special_tokens().bos, 4);
  EXPECT_THAT(tokenizer->encode("a"), testing::ElementsAre(0, 1));
  EXPECT_THROW(tokenizer_from_json(json, R"({"bos_token": "<none>"})"), Error);
  EXPECT_THROW(tokenizer_from_json(json, R"({"bos_token": 1})"), Error);
  EXPECT_THROW(tokenizer_from_json(json, "{"), Error);
}

TEST(TokenizerErrors, IdsOutsideTheVocabulary) {
  const auto tokenizer = tokenizer_from_json(sound().dump());
  EXPECT_EQ(tokenizer->vocab_size(), 5);
  for (const TokenId id : {-1, 5, INT32_MAX, INT32_MIN}) {
    EXPECT_THROW(tokenizer->decode(std::vector<TokenId>{id}), Error);
    EXPECT_THROW(tokenizer->token_bytes(id), Error);
    EXPECT_THROW(tokenizer->is_special(id), Error);
  }
}

}  // namespace
}  // namespace lmoe::text
