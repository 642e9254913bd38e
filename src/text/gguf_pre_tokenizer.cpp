#include "text/gguf_pre_tokenizer.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"

namespace lmoe::text {

namespace {

constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})"
    R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2 = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})"
                               R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct Entry {
  const char* name;
  const char* pattern;  ///< null for GPT-2's, which ByteLevel brings along
  bool ignore_merges;
  bool splits_digits = false;  ///< every numeral is a piece of its own before the pattern is asked
};

// Pre-tokenizers are those of the models' own tokenizer.json, as llama.cpp has them. `smollm` cuts
// numerals off one by one before GPT-2's pattern, which is what SmolLM2 was trained with;
// transformers leaves that out when it reads the same GGUF, so that it makes other ids where
// several spaces stand before a digit.
constexpr Entry kEntries[] = {
    {"", nullptr, false},
    {"default", nullptr, false},
    {"gpt-2", nullptr, false},
    {"smollm", nullptr, false, true},
    {"llama-bpe", kLlama3, true},
    {"llama3", kLlama3, true},
    {"llama-v3", kLlama3, true},
    {"qwen2", kQwen2, false},
    {"deepseek-r1-qwen", kQwen2, false},
    {"tekken", kTekken, true},
    {"gpt-4o", kGpt4o, false},
    {"llama4", kGpt4o, false},
};

}  // namespace

NamedPreTokenizer gguf_pre_tokenizer(const std::string& name) {
  const auto* entry = std::find_if(std::begin(kEntries), std::end(kEntries),
                                   [&](const Entry& e) { return name == e.name; });
  if (entry == std::end(kEntries)) {
    std::string known;
    for (const Entry& e : kEntries) {
      if (*e.name != '\0') known += concat(known.empty() ? "" : ", ", e.name);
    }
    fail(ErrorCode::kUnsupported, "[tokenizer] tokenizer.ggml.pre: unknown pre-tokenizer '", name,
         "'; known: ", known);
  }
  Json stages = Json::array();
  if (entry->splits_digits) stages.push_back({{"type", "Digits"}, {"individual_digits", true}});
  if (entry->pattern != nullptr) {
    stages.push_back({{"type", "Split"},
                      {"pattern", {{"Regex", entry->pattern}}},
                      {"behavior", "Isolated"},
                      {"invert", false}});
  }
  stages.push_back({{"type", "ByteLevel"},
                    {"add_prefix_space", false},
                    {"trim_offsets", true},
                    {"use_regex", entry->pattern == nullptr}});
  if (stages.size() == 1) return {stages[0], entry->ignore_merges};
  return {{{"type", "Sequence"}, {"pretokenizers", stages}}, entry->ignore_merges};
}

}  // namespace lmoe::text
