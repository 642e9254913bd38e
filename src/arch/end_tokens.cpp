// Which tokens end an answer: files name one or several, and often not the one that ends a turn.
#include <algorithm>

#include "arch/base_model.h"

namespace lmoe::arch {
namespace {

/// Ends of turns and documents, as the families' chat templates and vocabularies call them.
constexpr const char* kEndTokens[] = {
    "<|im_end|>",    "<|eot_id|>",      "<|eom_id|>",    "<|end_of_turn|>",
    "<end_of_turn>", "<|end_of_text|>", "<|endoftext|>", "</s>",
};

}  // namespace

std::vector<text::TokenId> BaseModel::end_tokens() const {
  std::vector<text::TokenId> ids;
  const auto add = [&](int64_t id) {
    const auto token = static_cast<text::TokenId>(id);
    if (std::find(ids.begin(), ids.end(), token) == ids.end()) ids.push_back(token);
  };
  if (const auto eos = tokenizer->special_tokens().eos) add(*eos);
  for (const int64_t id : config.eos_token_ids) add(id);
  for (const char* text : kEndTokens) {
    const auto id = tokenizer->token_to_id(text);
    if (id && tokenizer->is_special(*id)) add(*id);
  }
  return ids;
}

}  // namespace lmoe::arch
