// What a base model is, in two SHA-256: its weights and its tokenizer.
//
// Both are taken over a written-down form, not over anything lmoe writes: a run stays tied to its
// base whatever later versions change. Fields are netstrings ("5:hello,"); the first is the
// version of the form.
//
//   weights    "lmoe weights 1", then for each tensor of the file, by name: name, type, shape
//              ("[576, 192]"), SHA-256 of its bytes as stored
//   tokenizer  "lmoe tokenizer 1", then of a folder: "json", tokenizer.json without vocab, merges,
//              truncation, padding and version (compact, keys sorted), the keys of
//              tokenizer_config.json that decide ids (likewise), each id and token by id, "merges",
//              left and right of each merge; of a GGUF file: "gguf", then for each key
//              `tokenizer.ggml.*`, by name: key, number of values, values ("%.17g", "true")
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "io/gguf.h"
#include "io/weight_source.h"

namespace lmoe::arch {

struct ContentHash {
  std::string weights, tokenizer;  ///< lower-case hex

  bool operator==(const ContentHash&) const = default;
};

/// "weights", "tokenizer", "weights and tokenizer", or empty.
std::string difference(const ContentHash& a, const ContentHash& b);

/// Told how many bytes of how many are hashed, at most every 16 MB; called with all of them last.
using HashProgress = std::function<void(int64_t done, int64_t total)>;

/// Reads every byte of the weights: 0.1 s for a mapped file of 90 MB.
std::string hash_weights(const io::WeightSource& source, const HashProgress& progress = {});
/// `config_json` is tokenizer_config.json, or empty.
std::string hash_json_tokenizer(std::string_view tokenizer_json, std::string_view config_json);
std::string hash_gguf_tokenizer(const io::GgufFile& file);

}  // namespace lmoe::arch
