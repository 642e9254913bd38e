#include "text/added_tokens.h"

#include <algorithm>

#include "base/error.h"
#include "text/json_fields.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace lmoe::text {

namespace {

constexpr int64_t kMaxId = 1 << 24;

AddedToken read_token(const Json& json, const std::string& path) {
  const JsonFields fields(json, path);
  AddedToken token;
  const int64_t id = fields.integer_at("id");
  LMOE_CHECK_DATA(id >= 0 && id < kMaxId, "[tokenizer] ", path, ": id out of range: given ", id,
                  ", expected 0 to ", kMaxId - 1);
  token.id = static_cast<TokenId>(id);
  token.content = fields.string_at("content");
  token.special = fields.bool_or("special", false);
  token.single_word = fields.bool_or("single_word", false);
  token.lstrip = fields.bool_or("lstrip", false);
  token.rstrip = fields.bool_or("rstrip", false);
  token.normalized = fields.bool_or("normalized", !token.special);
  return token;
}

bool ends_with_word(std::string_view text) {
  if (text.empty()) return false;
  size_t at = text.size() - 1;
  while (at > 0 && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;
  return is_word(utf8_step(text.substr(at)).code_point);
}

bool starts_with_word(std::string_view text) {
  return !text.empty() && is_word(utf8_step(text).code_point);
}

}  // namespace

void TextSet::insert(std::string_view text, size_t index) {
  if (text.empty()) return;
  first_bytes_[static_cast<uint8_t>(text[0])] = true;
  size_t node = 0;
  for (const char c : text) {
    const auto [it, is_new] = nodes_[node].next.try_emplace(c, nodes_.size());
    node = it->second;
    if (is_new) nodes_.emplace_back();
  }
  if (!nodes_[node].index) nodes_[node].index = index;
}

std::optional<TextSet::Found> TextSet::longest_at(std::string_view text) const {
  if (text.empty() || !first_bytes_[static_cast<uint8_t>(text[0])]) return std::nullopt;
  std::optional<Found> best;
  size_t node = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto it = nodes_[node].next.find(text[i]);
    if (it == nodes_[node].next.end()) break;
    node = it->second;
    if (nodes_[node].index) best = Found{*nodes_[node].index, i + 1};
  }
  return best;
}

AddedTokens::AddedTokens(const Json& list, const BpeModel& model, const Normalizer& normalizer) {
  if (list.is_null()) return;
  LMOE_CHECK_DATA(list.is_array(), "[tokenizer] added_tokens must be an array: given ",
                  list.type_name());
  for (size_t i = 0; i < list.size(); ++i)
    add(read_token(list[i], concat("added_tokens[", i, "]")), model);
  for (const bool special : {true, false}) {
    for (size_t i = 0; i < tokens_.size(); ++i) {
      AddedToken& token = tokens_[i];
      if (token.special != special) continue;
      token.decoded = token.normalized ? normalizer.apply(token.content) : token.content;
      (token.normalized ? normalized_ : raw_).insert(token.decoded, i);
    }
  }
}

void AddedTokens::add(AddedToken token, const BpeModel& model) {
  if (token.content.empty()) return;
  const auto known = model.find(token.content);
  LMOE_CHECK_DATA(!known || *known == token.id, "[tokenizer] added_tokens: '", token.content,
                  "' has id ", token.id, ", but id ", known.value_or(-1), " in model.vocab");
  LMOE_CHECK_DATA(known || token.id >= model.id_bound() || model.token(token.id).empty(),
                  "[tokenizer] added_tokens: id ", token.id, " of '", token.content,
                  "' belongs to another token in model.vocab");
  LMOE_CHECK_DATA(!by_id_.contains(token.id), "[tokenizer] added_tokens: id ", token.id,
                  " is given twice");
  LMOE_CHECK_DATA(!by_content_.contains(token.content), "[tokenizer] added_tokens: '",
                  token.content, "' is given twice");
  by_id_[token.id] = tokens_.size();
  by_content_[token.content] = tokens_.size();
  id_bound_ = std::max<int64_t>(id_bound_, token.id + 1);
  tokens_.push_back(std::move(token));
}

void AddedTokens::split_raw(std::string_view text, bool parse_special, const Sink& sink) const {
  split(raw_, text, parse_special, sink);
}

void AddedTokens::split_normalized(std::string_view text,
                                   bool parse_special,
                                   const Sink& sink) const {
  split(normalized_, text, parse_special, sink);
}

void AddedTokens::split(const TextSet& set,
                        std::string_view text,
                        bool parse_special,
                        const Sink& sink) const {
  size_t done = 0;
  for (size_t at = 0; !set.empty() && at < text.size();) {
    const auto found = set.longest_at(text.substr(at));
    if (!found) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[found->index];
    size_t begin = at;
    size_t end = at + found->length;
    at = end;
    if (token.special && !parse_special) continue;
    if (token.single_word &&
        (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end)))) {
      continue;
    }
    if (token.lstrip && done < begin)
      begin = done + trim_end(text.substr(done, begin - done)).size();
    if (token.rstrip) end = text.size() - trim_start(text.substr(end)).size();
    if (done < begin) sink(text.substr(done, begin - done), std::nullopt);
    sink(text.substr(begin, end - begin), token.id);
    done = end;
  }
  if (done < text.size()) sink(text.substr(done), std::nullopt);
}

const AddedToken* AddedTokens::find(TokenId id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : &tokens_[it->second];
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto it = by_content_.find(content);
  return it == by_content_.end() ? nullptr : &tokens_[it->second];
}

}  // namespace lmoe::text
