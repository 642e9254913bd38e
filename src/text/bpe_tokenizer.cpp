#include "text/bpe_tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "text/json_fields.h"
#include "text/utf8.h"

namespace lmoe::text {

namespace {

const Json& part(const TokenizerFile& file, const char* name) {
  static const Json null;
  const Json* found = JsonFields(file.parts, "").find(name);
  return found == nullptr ? null : *found;
}

/// bos_token and its like are a text, or an object with the text as `content`.
std::optional<std::string> token_text(const JsonFields& config, const char* name) {
  const Json* value = config.find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_object()) return JsonFields(*value, config.path_of(name)).string_at("content");
  return config.string_at(name);
}

}  // namespace

BpeTokenizer::BpeTokenizer(TokenizerFile file, std::string source, const Json& config)
    : file_(std::move(file)),
      source_(std::move(source)),
      pre_tokenizer_(part(file_, "pre_tokenizer")),
      model_(file_, pre_tokenizer_.is_byte_level()),
      normalizer_(part(file_, "normalizer")),
      added_(part(file_, "added_tokens"), model_, normalizer_),
      decoder_(part(file_, "decoder")),
      vocab_size_(std::max(model_.id_bound(), added_.id_bound())),
      post_processor_(make_post_processor(part(file_, "post_processor"), vocab_size_)) {
  special_ = post_processor_.special;
  if (!special_.unk) special_.unk = model_.unk();
  if (!config.is_null()) read_special_tokens(config);
  if (!source_.empty()) {
    file_.vocab = {};
    file_.merges = {};
  }
}

void BpeTokenizer::read_special_tokens(const Json& json) {
  const JsonFields config(json, "tokenizer_config");
  const auto read = [&](const char* name, std::optional<TokenId>& out) {
    const auto text = token_text(config, name);
    if (!text) return;
    out = token_to_id(*text);
    LMOE_CHECK_DATA(out, "[tokenizer] ", config.path_of(name), " '", *text,
                    "' is not in the vocabulary");
  };
  read("bos_token", special_.bos);
  read("eos_token", special_.eos);
  read("unk_token", special_.unk);
  read("pad_token", special_.pad);
  const auto add_bos = config.optional_bool("add_bos_token");
  const auto add_eos = config.optional_bool("add_eos_token");
  if (!add_bos && !add_eos) return;
  post_processor_ = {};
  if (add_bos.value_or(false) && special_.bos) post_processor_.before.push_back(*special_.bos);
  if (add_eos.value_or(false) && special_.eos) post_processor_.after.push_back(*special_.eos);
}

std::vector<TokenId> BpeTokenizer::encode(std::string_view text,
                                          const EncodeOptions& options) const {
  std::string repaired;
  if (!is_valid_utf8(text)) {
    repaired = replace_invalid_utf8(text);
    text = repaired;
  }
  std::vector<TokenId> out;
  if (options.add_special_tokens) out = post_processor_.before;
  added_.split_raw(
      text, options.parse_special, [&](std::string_view piece, std::optional<TokenId> id) {
        if (id) {
          out.push_back(*id);
        } else {
          encode_text(piece, /*at_start=*/piece.data() == text.data(), options.parse_special, out);
        }
      });
  if (options.add_special_tokens) {
    out.insert(out.end(), post_processor_.after.begin(), post_processor_.after.end());
  }
  return out;
}

void BpeTokenizer::encode_text(std::string_view text,
                               bool at_start,
                               bool parse_special,
                               std::vector<TokenId>& out) const {
  std::string normalized;
  if (!normalizer_.is_identity()) {
    normalized = normalizer_.apply(text);
    text = normalized;
  }
  added_.split_normalized(
      text, parse_special, [&](std::string_view piece, std::optional<TokenId> id) {
        if (id) return out.push_back(*id);
        pre_tokenizer_.split({piece, at_start && piece.data() == text.data()},
                             [&](Piece word) { model_.tokenize(word.text, out); });
      });
}

void BpeTokenizer::check_id(TokenId id) const {
  LMOE_CHECK_ARG(id >= 0 && id < vocab_size_, "[tokenizer] id outside the vocabulary: given ", id,
                 ", expected 0 to ", vocab_size_ - 1);
}

std::string BpeTokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  size_t at = 0;
  return decoder_.decode([&]() -> const std::string* {
    while (at < ids.size() && skip_special && is_special(ids[at])) ++at;
    return at < ids.size() ? &decoder_input(ids[at++]) : nullptr;
  });
}

const std::string& BpeTokenizer::decoder_input(TokenId id) const {
  static const std::string kNone;
  check_id(id);
  if (const AddedToken* added = added_.find(id)) return added->decoded;
  return id < model_.id_bound() ? model_.token(id) : kNone;
}

std::string BpeTokenizer::token_bytes(TokenId id) const {
  return decoder_.inner_bytes(decoder_input(id));
}

std::string BpeTokenizer::first_token_bytes(TokenId id) const {
  return decoder_.first_bytes(decoder_input(id));
}

std::optional<TokenId> BpeTokenizer::token_to_id(std::string_view token) const {
  if (const AddedToken* added = added_.find(token)) return added->id;
  return model_.find(token);
}

std::string BpeTokenizer::id_to_token(TokenId id) const {
  check_id(id);
  if (const AddedToken* added = added_.find(id)) return added->content;
  return id < model_.id_bound() ? model_.token(id) : std::string();
}

bool BpeTokenizer::is_special(TokenId id) const {
  check_id(id);
  const AddedToken* added = added_.find(id);
  return added != nullptr && added->special;
}

std::string BpeTokenizer::json_text() const {
  return source_.empty() ? to_json_text(file_) : source_;
}

std::unique_ptr<Tokenizer> tokenizer_from_json(std::string_view tokenizer_json,
                                               std::string_view tokenizer_config_json) {
  Json config;
  if (!tokenizer_config_json.empty()) {
    config = parse_tokenizer_file(tokenizer_config_json).parts;
  }
  return std::make_unique<BpeTokenizer>(parse_tokenizer_file(tokenizer_json),
                                        std::string(tokenizer_json), config);
}

std::string tokenizer_to_json(const Tokenizer& tokenizer) {
  const auto* bpe = dynamic_cast<const BpeTokenizer*>(&tokenizer);
  LMOE_CHECK_ARG(bpe != nullptr, "[tokenizer] this kind of tokenizer has no tokenizer.json");
  return bpe->json_text();
}

}  // namespace lmoe::text
