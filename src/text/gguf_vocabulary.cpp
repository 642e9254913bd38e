// GGUF vocabularies become the tokenizer.json that says the same, so that there is one way to make
// a tokenizer.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "text/bpe_tokenizer.h"
#include "text/byte_level.h"
#include "text/byte_token.h"
#include "text/gguf_pre_tokenizer.h"
#include "text/score_merges.h"
#include "text/utf8.h"

namespace lmoe::text {

namespace {

enum TokenType : int64_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

void check_lists(const GgufVocabulary& v) {
  LMOE_CHECK_DATA(!v.tokens.empty(), "[tokenizer] tokenizer.ggml.tokens is missing or empty");
  const auto check_size = [&](const char* name, size_t size) {
    LMOE_CHECK_DATA(size == 0 || size == v.tokens.size(), "[tokenizer] tokenizer.ggml.", name,
                    " does not fit the vocabulary: given ", size, " entries, expected ",
                    v.tokens.size());
  };
  check_size("token_type", v.token_types.size());
  check_size("scores", v.scores.size());
  for (size_t i = 0; i < v.token_types.size(); ++i) {
    LMOE_CHECK_DATA(v.token_types[i] >= kNormal && v.token_types[i] <= kByte,
                    "[tokenizer] tokenizer.ggml.token_type: entry ", i, " is unknown: given ",
                    v.token_types[i], ", expected 1 to 6");
  }
  for (size_t i = 0; i < v.tokens.size(); ++i) {
    LMOE_CHECK_DATA(is_valid_utf8(v.tokens[i]), "[tokenizer] tokenizer.ggml.tokens: token ", i,
                    " is not valid UTF-8");
  }
}

const std::string& token_of(const GgufVocabulary& v, TokenId id, const char* name) {
  LMOE_CHECK_DATA(id >= 0 && static_cast<size_t>(id) < v.tokens.size(),
                  "[tokenizer] tokenizer.ggml.", name, "_id is beyond the vocabulary: given ", id,
                  ", expected 0 to ", v.tokens.size() - 1);
  return v.tokens[static_cast<size_t>(id)];
}

Json added_tokens(const GgufVocabulary& v) {
  Json out = Json::array();
  for (size_t i = 0; i < v.token_types.size(); ++i) {
    const bool special = v.token_types[i] == kControl || v.token_types[i] == kUnknown;
    if (!special && v.token_types[i] != kUserDefined) continue;
    out.push_back({{"id", i},
                   {"content", v.tokens[i]},
                   {"single_word", false},
                   {"lstrip", false},
                   {"rstrip", false},
                   {"normalized", false},
                   {"special", special}});
  }
  return out;
}

void add_special_token(Json& table, const std::string& name, const std::string& token, TokenId id) {
  table[name] = {{"id", name}, {"ids", Json::array({id})}, {"tokens", Json::array({token})}};
}

Json post_processor(const GgufVocabulary& v) {
  Json single = Json::array();
  Json table = Json::object();
  for (const auto& [name, field] : kSpecialTokenNames) {
    const auto id = v.special.*field;
    if (id) add_special_token(table, name, token_of(v, *id, name), *id);
  }
  const auto put = [&](std::optional<TokenId> id, const char* name) {
    if (!id) return;
    const std::string& token = token_of(v, *id, name);
    single.push_back({{"SpecialToken", {{"id", token}, {"type_id", 0}}}});
    add_special_token(table, token, token, *id);
  };
  const Json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  if (v.add_bos) put(v.special.bos, "bos_token");
  single.push_back(text);
  if (v.add_eos) put(v.special.eos, "eos_token");
  const Json second = {{"Sequence", {{"id", "B"}, {"type_id", 1}}}};
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", Json::array({text, second})},
          {"special_tokens", table}};
}

Json bpe_options(const char* unk_token) {
  Json unk = nullptr;
  if (unk_token != nullptr) unk = unk_token;
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", unk},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", false},
          {"vocab", nullptr},
          {"merges", nullptr}};
}

void add_vocab(const GgufVocabulary& v, TokenizerFile& file) {
  file.vocab.reserve(v.tokens.size());
  for (size_t i = 0; i < v.tokens.size(); ++i) {
    file.vocab.emplace_back(v.tokens[i], static_cast<TokenId>(i));
  }
}

void add_merges(const GgufVocabulary& v, TokenizerFile& file) {
  for (size_t i = 0; i < v.merges.size(); ++i) {
    const std::string& line = v.merges[i];
    const size_t space = line.find(' ');
    LMOE_CHECK_DATA(space != std::string::npos && line.find(' ', space + 1) == std::string::npos,
                    "[tokenizer] tokenizer.ggml.merges: merge ", i, " is malformed: given '", line,
                    "', expected two tokens with one space between");
    file.merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
}

void make_byte_level(const GgufVocabulary& v, TokenizerFile& file) {
  const NamedPreTokenizer named = gguf_pre_tokenizer(v.pre);
  file.parts["normalizer"] = nullptr;
  file.parts["pre_tokenizer"] = named.pre_tokenizer;
  file.parts["post_processor"] = post_processor(v);
  file.parts["decoder"] = {{"type", "ByteLevel"},
                           {"add_prefix_space", true},
                           {"trim_offsets", true},
                           {"use_regex", true}};
  file.parts["model"] = bpe_options(nullptr);
  file.parts["model"]["ignore_merges"] = named.ignore_merges;
  add_merges(v, file);
}

/// Byte tokens are checked here because the general reader would silently do without them.
void check_byte_tokens(const GgufVocabulary& v) {
  std::array<bool, 256> seen{};
  for (size_t i = 0; i < v.tokens.size(); ++i) {
    const bool says_byte = !v.token_types.empty() && v.token_types[i] == kByte;
    const auto byte = parse_byte_token(v.tokens[i]);
    LMOE_CHECK_DATA(!says_byte || byte, "[tokenizer] tokenizer.ggml.tokens: token ", i,
                    " is marked as a byte: given '", v.tokens[i], "', expected <0x00> to <0xFF>");
    if (byte) seen[*byte] = true;
  }
  const auto* missing = std::find(seen.begin(), seen.end(), false);
  LMOE_CHECK_DATA(missing == seen.end(), "[tokenizer] tokenizer.ggml.tokens: the byte token ",
                  byte_token(static_cast<uint8_t>(missing - seen.begin())), " is missing");
}

void make_sentencepiece(const GgufVocabulary& v, TokenizerFile& file) {
  check_byte_tokens(v);
  LMOE_CHECK_DATA(!v.scores.empty() || !v.merges.empty(),
                  "[tokenizer] tokenizer.ggml.scores is missing");
  for (size_t i = 0; i < v.scores.size(); ++i) {
    LMOE_CHECK_DATA(!std::isnan(v.scores[i]), "[tokenizer] tokenizer.ggml.scores: entry ", i,
                    " is not a number");
  }
  file.parts["normalizer"] = nullptr;
  file.parts["pre_tokenizer"] = {{"type", "Metaspace"},
                                 {"replacement", "\u2581"},
                                 {"prepend_scheme", v.add_space_prefix ? "first" : "never"},
                                 {"split", false}};
  file.parts["post_processor"] = post_processor(v);
  Json decoders =
      Json::array({{{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}},
                   {{"type", "ByteFallback"}},
                   {{"type", "Fuse"}}});
  if (v.add_space_prefix) {
    decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  file.parts["decoder"] = {{"type", "Sequence"}, {"decoders", decoders}};
  Json model =
      bpe_options(v.special.unk ? token_of(v, *v.special.unk, "unk_token").c_str() : nullptr);
  model["byte_fallback"] = true;
  model["fuse_unk"] = true;
  file.parts["model"] = model;
  if (v.merges.empty()) {
    file.merges = merges_from_scores(file.vocab, v.scores);
  } else {
    add_merges(v, file);
  }
}

}  // namespace

std::unique_ptr<Tokenizer> tokenizer_from_gguf(const GgufVocabulary& vocabulary) {
  if (vocabulary.model != "gpt2" && vocabulary.model != "llama") {
    fail(ErrorCode::kUnsupported, "[tokenizer] tokenizer.ggml.model: unknown kind '",
         vocabulary.model, "'; known: gpt2, llama");
  }
  check_lists(vocabulary);
  TokenizerFile file;
  file.parts = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
  file.parts["added_tokens"] = added_tokens(vocabulary);
  add_vocab(vocabulary, file);
  if (vocabulary.model == "gpt2") {
    make_byte_level(vocabulary, file);
  } else {
    make_sentencepiece(vocabulary, file);
  }
  return std::make_unique<BpeTokenizer>(std::move(file), "", nullptr);
}

}  // namespace lmoe::text
