#include "data/render.h"

#include <algorithm>

#include "base/error.h"
#include "data/preference.h"

namespace lmoe::data {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

void append(Example& example, const std::vector<TokenId>& ids, bool labelled) {
  example.ids.insert(example.ids.end(), ids.begin(), ids.end());
  if (labelled) {
    example.labels.insert(example.labels.end(), ids.begin(), ids.end());
  } else {
    example.labels.resize(example.ids.size(), kIgnoreLabel);
  }
}

}  // namespace

int64_t Example::labelled() const {
  return std::count_if(labels.begin(), labels.end(),
                       [](TokenId label) { return label != kIgnoreLabel; });
}

int64_t Example::prompt_length() const {
  return std::find_if(labels.begin(), labels.end(),
                      [](TokenId label) { return label != kIgnoreLabel; }) -
         labels.begin();
}

Renderer::Renderer(std::shared_ptr<const text::Tokenizer> tokenizer,
                   std::shared_ptr<const ChatEncoder> chat,
                   DataOptions options,
                   std::vector<TokenId> end_tokens)
    : tokenizer_(std::move(tokenizer)),
      chat_(std::move(chat)),
      options_(std::move(options)),
      end_tokens_(std::move(end_tokens)) {
  const auto eos = tokenizer_->special_tokens().eos;
  if (end_tokens_.empty() && eos) end_tokens_ = {*eos};
}

Renderer::Content Renderer::text_content(std::string_view text) {
  if (text.empty()) return Content::kNothing;
  return std::all_of(text.begin(), text.end(), is_space) ? Content::kSpace : Content::kText;
}

/// Of a turn, besides its role.
Renderer::Content Renderer::turn_content(const Json& message) {
  Content most = Content::kNothing;
  for (const auto& [key, value] : message.items()) {
    if (key == "role" || value.is_null() || (value.is_structured() && value.empty())) continue;
    most = std::max(most, value.is_string() ? text_content(value.get_ref<const std::string&>())
                                            : Content::kText);
  }
  return most;
}

Renderer::Content Renderer::learned(const Record& record) const {
  Content most = std::max(text_content(record.response), text_content(record.text));
  if (options_.train_on_inputs) most = std::max(most, text_content(record.prompt));
  if (!record.is_chat()) return most;
  for (const Json& message : record.messages)
    if (options_.train_on_inputs || is_trained(message))
      most = std::max(most, turn_content(message));
  return most;
}

bool Renderer::is_blank(const Record& record) const {
  if (record.is_preference())
    return is_blank(with_answer(record, record.response)) ||
           is_blank(with_answer(record, record.rejected));
  return learned(record) == Content::kSpace;
}

/// Without this a record would teach to end at once.
void Renderer::check_answered(const Record& record, const std::string& file) const {
  LMOE_CHECK_ARG(learned(record) != Content::kNothing, "[data] ", file, ":", record.line,
                 ": the record has no token to learn: given ",
                 record.is_chat() ? "no text in a turn" : "an empty text",
                 ", expected an answer, or a turn of ",
                 options_.roles_to_train.empty() ? "some role" : options_.roles_to_train[0],
                 " that says something; hint: leave the record out, or set roles_to_train or "
                 "train_on_inputs");
}

Example Renderer::render(const Record& record, const std::string& file) const {
  if (!record.is_preference()) return render_document(record, file);
  return join_sides(render_document(with_answer(record, record.response), file),
                    render_document(with_answer(record, record.rejected), file));
}

Example Renderer::render_document(const Record& record, const std::string& file) const {
  check_answered(record, file);
  Example example;
  if (record.is_chat()) {
    example = render_chat(record, file);
  } else if (!record.text.empty()) {
    example = render_text(record);
  } else {
    example = render_pair(record);
  }
  example.line = record.line;
  // Nothing stands before the first token that could predict it.
  if (!example.labels.empty()) example.labels[0] = kIgnoreLabel;
  LMOE_CHECK_ARG(example.labelled() > 0, "[data] ", file, ":", record.line,
                 ": the record has no token to learn: given ", example.length(),
                 " tokens, expected an answer after the first; hint: leave the record out");
  return example;
}

std::vector<TokenId> Renderer::prompt(std::string_view text) const {
  auto ids = tokenizer_->encode(text, {.add_special_tokens = true, .parse_special = false});
  // A tokenizer may close texts with EOS; a prompt is not closed.
  const auto eos = tokenizer_->special_tokens().eos;
  if (eos && !ids.empty() && ids.back() == *eos) ids.pop_back();
  return ids;
}

std::vector<TokenId> Renderer::prompt(const Record& record) const {
  if (!record.is_chat()) return prompt(std::string_view(record.prompt));
  require_chat("");
  Json messages = record.messages;
  while (messages.size() > 1 && messages.back()["role"] == "assistant")
    messages.erase(messages.size() - 1);
  return chat_->encode(messages, record.tools, /*add_generation_prompt=*/true);
}

std::vector<TokenId> Renderer::answer(const Record& record, std::string_view answer) const {
  if (record.is_chat()) return encode_continuation(*tokenizer_, answer);
  const bool separated = record.prompt.empty() || is_space(record.prompt.back()) ||
                         (!answer.empty() && is_space(answer[0]));
  const std::string text = (separated ? "" : options_.prompt_separator) + std::string(answer);
  return encode_continuation(*tokenizer_, text);
}

Example Renderer::render_pair(const Record& record) const {
  Example example;
  append(example, prompt(record), options_.train_on_inputs);
  append(example, answer(record, record.response), true);
  if (const auto eos = tokenizer_->special_tokens().eos) append(example, {*eos}, true);
  return example;
}

Example Renderer::render_text(const Record& record) const {
  Example example;
  append(example, prompt(std::string_view(record.text)), true);
  if (const auto eos = tokenizer_->special_tokens().eos) append(example, {*eos}, true);
  return example;
}

bool Renderer::is_trained(const Json& message) const {
  const auto& roles = options_.roles_to_train;
  return std::find(roles.begin(), roles.end(), message["role"].get_ref<const std::string&>()) !=
         roles.end();
}

void Renderer::require_chat(const std::string& where) const {
  LMOE_CHECK_ARG(chat_ != nullptr, "[data] ", where,
                 "records with turns need a chat template, and the base model has none; hint: set "
                 "chat_template, or use prompt and completion");
}

Example Renderer::render_chat(const Record& record, const std::string& file) const {
  const std::string where = concat(file, ":", record.line, ": ");
  require_chat(where);
  try {
    return render_turns(record);
  } catch (const Error& error) {
    fail(error.code(), "[data] ", where, "chat template: ", without_operation(error.what()));
  }
}

Example Renderer::render_turns(const Record& record) const {
  const std::string whole = chat_->render_marked(record.messages, record.tools, false);
  Example example;
  if (options_.train_on_inputs) {
    append(example, chat_->encode_marked(whole, /*at_start=*/true), true);
    return example;
  }
  const auto prefix = [&](size_t turns, bool prompt) -> size_t {
    if (turns == 0) return 0;
    if (turns == record.messages.size() && !prompt) return whole.size();
    const Json some(record.messages.begin(),
                    record.messages.begin() + static_cast<ptrdiff_t>(turns));
    const std::string text = chat_->render_marked(some, record.tools, prompt);
    LMOE_CHECK_ARG(whole.starts_with(text), "the first ", turns,
                   " turns alone do not give the beginning of the whole conversation, so its turns "
                   "cannot be masked; hint: one answer per record, or another chat_template");
    return text.size();
  };
  size_t done = 0;
  for (size_t i = 0; i < record.messages.size(); ++i) {
    if (!is_trained(record.messages[i])) continue;
    const size_t begin = std::max(done, prefix(i, record.messages[i]["role"] == "assistant"));
    const size_t end = std::max(begin, prefix(i + 1, false));
    append(example, chat_->encode_marked(whole.substr(done, begin - done), done == 0), false);
    append_turn(example, whole.substr(begin, end - begin), begin == 0);
    done = end;
  }
  append(example, chat_->encode_marked(whole.substr(done), done == 0), false);
  return example;
}

void Renderer::append_turn(Example& example, const std::string& marked, bool at_start) const {
  const size_t begin = example.ids.size();
  append(example, chat_->encode_marked(marked, at_start), true);
  // What a template writes behind the end of the turn is not the model's to say.
  const auto ids = std::span(example.ids).subspan(begin);
  const auto last =
      std::find_first_of(ids.rbegin(), ids.rend(), end_tokens_.begin(), end_tokens_.end());
  if (last == ids.rend()) return;
  std::fill(example.labels.end() - (last - ids.rbegin()), example.labels.end(), kIgnoreLabel);
}

}  // namespace lmoe::data
