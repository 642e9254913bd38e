#include "text/bpe_model.h"

#include "base/error.h"
#include "text/bpe_merge.h"
#include "text/byte_level.h"
#include "text/byte_token.h"
#include "text/json_fields.h"
#include "text/utf8.h"

namespace lmoe::text {

namespace {

constexpr TokenId kMaxId = 1 << 24;
constexpr TokenId kNoToken = -1;

/// Without these no text survives. Rare control bytes may be missing (SmolLM2 has no token for byte
/// 4): they are dropped, as the `tokenizers` library does.
bool is_indispensable(size_t byte) { return byte == '\n' || (byte >= ' ' && byte <= '~'); }

}  // namespace

BpeModel::BpeModel(const TokenizerFile& file, bool byte_level)
    : merges_(file.merges.size()), byte_level_(byte_level) {
  const JsonFields top(file.parts, "");
  const JsonFields model(top.at("model"), "model");
  const std::string type = model.optional_string("type").value_or("BPE");
  if (type != "BPE") {
    fail(ErrorCode::kUnsupported, "[tokenizer] model.type '", type,
         "' is not supported; known: BPE");
  }
  LMOE_CHECK_DATA(!file.vocab.empty(), "[tokenizer] model.vocab is missing or empty");
  read_vocab(file);
  read_options(top.at("model"));
  read_byte_tokens();
  read_merges(file);
}

void BpeModel::read_vocab(const TokenizerFile& file) {
  TokenId bound = 0;
  for (const auto& [token, id] : file.vocab) {
    LMOE_CHECK_DATA(id < kMaxId, "[tokenizer] model.vocab: the id of '", token,
                    "' is beyond any vocabulary: given ", id, ", expected less than ", kMaxId);
    bound = std::max(bound, id + 1);
  }
  tokens_.resize(static_cast<size_t>(bound));
  std::vector<bool> taken(tokens_.size());
  ids_.reserve(file.vocab.size());
  for (const auto& [token, id] : file.vocab) {
    const auto at = static_cast<size_t>(id);
    LMOE_CHECK_DATA(!taken[at], "[tokenizer] model.vocab: id ", id, " is given twice, to '",
                    tokens_[at], "' and '", token, "'");
    taken[at] = true;
    tokens_[at] = token;
    LMOE_CHECK_DATA(ids_.emplace(tokens_[at], id).second, "[tokenizer] model.vocab: the token '",
                    token, "' is given twice");
  }
}

void BpeModel::read_options(const Json& json) {
  const JsonFields model(json, "model");
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!model.optional_string(affix).value_or("").empty()) {
      fail(ErrorCode::kUnsupported, "[tokenizer] model.", affix, " is not supported");
    }
  }
  const Json* dropout = model.find("dropout");
  if (dropout != nullptr && !(dropout->is_number() && dropout->get<double>() == 0.0)) {
    fail(ErrorCode::kUnsupported, "[tokenizer] model.dropout is not supported");
  }
  byte_fallback_ = model.bool_or("byte_fallback", false);
  fuse_unk_ = model.bool_or("fuse_unk", false);
  ignore_merges_ = model.bool_or("ignore_merges", false);
  if (const auto unk = model.optional_string("unk_token")) {
    unk_ = find(*unk);
    LMOE_CHECK_DATA(unk_, "[tokenizer] model.unk_token '", *unk, "' is not in the vocabulary");
  }
}

void BpeModel::read_byte_tokens() {
  byte_tokens_.fill(kNoToken);
  if (!byte_level_ && !byte_fallback_) return;
  for (size_t byte = 0; byte < 256; ++byte) {
    std::string token;
    if (byte_level_) {
      append_utf8(token, byte_alphabet()[byte]);
    } else {
      token = byte_token(static_cast<uint8_t>(byte));
    }
    if (const auto id = find(token)) {
      byte_tokens_[byte] = *id;
    } else {
      LMOE_CHECK_DATA(unk_ || (byte_level_ && !is_indispensable(byte)),
                      "[tokenizer] model.vocab: the token '", token, "' of byte ", byte,
                      " is missing and there is no unk_token");
    }
  }
}

void BpeModel::read_merges(const TokenizerFile& file) {
  for (size_t rank = 0; rank < file.merges.size(); ++rank) {
    const auto& [left, right] = file.merges[rank];
    const auto id_of = [&, rank](const std::string& token) {
      const auto id = find(token);
      LMOE_CHECK_DATA(id, "[tokenizer] model.merges: merge ", rank, " ('", file.merges[rank].first,
                      "' '", file.merges[rank].second, "') needs the token '", token,
                      "', which is not in the vocabulary");
      return *id;
    };
    const TokenId left_id = id_of(left);
    const TokenId right_id = id_of(right);
    merges_.insert(left_id, right_id, {static_cast<uint32_t>(rank), id_of(left + right)});
  }
}

std::optional<TokenId> BpeModel::find(std::string_view token) const {
  const auto it = ids_.find(token);
  if (it == ids_.end()) return std::nullopt;
  return it->second;
}

std::optional<uint8_t> BpeModel::fallback_byte(TokenId id) const {
  return byte_fallback_ ? parse_byte_token(token(id)) : std::nullopt;
}

void BpeModel::tokenize(std::string_view word, std::vector<TokenId>& out) const {
  const bool cacheable = word.size() <= WordCache::kMaxWordBytes;
  if (cacheable && cache_.find(word, out)) return;
  const size_t begin = out.size();
  if (ignore_merges_) {
    if (const auto whole = byte_level_ ? find(to_byte_alphabet(word)) : find(word)) {
      out.push_back(*whole);
      return;
    }
  }
  first_symbols(word, out);
  merge_symbols(merges_, out, begin);
  if (cacheable) cache_.insert(word, out.data() + begin, out.data() + out.size());
}

void BpeModel::first_symbols(std::string_view word, std::vector<TokenId>& out) const {
  if (byte_level_) return byte_symbols(word, out);
  bool pending_unk = false;
  while (!word.empty()) {
    const std::string_view character = word.substr(0, static_cast<size_t>(utf8_step(word).length));
    word.remove_prefix(character.size());
    if (const auto id = find(character)) {
      if (pending_unk) out.push_back(*unk_);
      pending_unk = false;
      out.push_back(*id);
    } else if (!fall_back(character, out) && unk_) {
      if (pending_unk && !fuse_unk_) out.push_back(*unk_);
      pending_unk = true;
    }
  }
  if (pending_unk) out.push_back(*unk_);
}

void BpeModel::byte_symbols(std::string_view word, std::vector<TokenId>& out) const {
  bool after_unk = false;
  for (const char byte : word) {
    const TokenId id = byte_tokens_[static_cast<uint8_t>(byte)];
    if (id != kNoToken) {
      out.push_back(id);
    } else if (unk_ && !(after_unk && fuse_unk_)) {
      out.push_back(*unk_);
    }
    after_unk = id == kNoToken;
  }
}

bool BpeModel::fall_back(std::string_view character, std::vector<TokenId>& out) const {
  if (!byte_fallback_) return false;
  for (const char byte : character) {
    if (byte_tokens_[static_cast<uint8_t>(byte)] == kNoToken) return false;
  }
  for (const char byte : character) out.push_back(byte_tokens_[static_cast<uint8_t>(byte)]);
  return true;
}

}  // namespace lmoe::text
