#include "data/render.h"

#include <algorithm>

#include "base/error.h"
#include "data/preference.h"

namespace lmoe::data {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

}  // namespace

void Example::append(const std::vector<TokenId>& more, bool is_labelled, int64_t passage) {
  const int64_t first = length();
  ids.insert(ids.end(), more.begin(), more.end());
  if (is_labelled) {
    labels.insert(labels.end(), more.begin(), more.end());
  } else {
    labels.resize(ids.size(), kIgnoreLabel);
  }
  if (passage == 0 || more.empty()) return;
  if (!passages.empty() && passages.back().number == passage)
    passages.back().end = length();
  else
    passages.push_back({first, length(), passage});
}

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

Example Renderer::unanswered(const Record& record) const {
  Example example;
  if (record.is_chat()) {
    require_chat("");
    example = render_unanswered(record);
  } else if (record.prompt_parts.empty()) {
    example.append(prompt(std::string_view(record.prompt)), options_.train_on_inputs);
  } else {
    for (const PromptPart& part : record.prompt_parts)
      example.append(example.ids.empty() ? prompt(std::string_view(part.text))
                                         : encode_continuation(*tokenizer_, part.text),
                     options_.train_on_inputs, part.passage);
  }
  answer_follows(example);
  settle_passages(example, record);
  return example;
}

Prompt Renderer::prompt(const Record& record) const {
  Example example = unanswered(record);
  return {std::move(example.ids), std::move(example.passages)};
}

std::vector<TokenId> Renderer::answer(const Record& record, std::string_view answer) const {
  if (record.is_chat()) return encode_continuation(*tokenizer_, answer);
  const bool separated = record.prompt.empty() || is_space(record.prompt.back()) ||
                         (!answer.empty() && is_space(answer[0]));
  const std::string text = (separated ? "" : options_.prompt_separator) + std::string(answer);
  return encode_continuation(*tokenizer_, text);
}

Example Renderer::render_pair(const Record& record) const {
  Example example = unanswered(record);
  example.append(answer(record, record.response), true);
  if (const auto eos = tokenizer_->special_tokens().eos) example.append({*eos}, true);
  return example;
}

Example Renderer::render_text(const Record& record) const {
  Example example;
  example.append(prompt(std::string_view(record.text)), true);
  if (const auto eos = tokenizer_->special_tokens().eos) example.append({*eos}, true);
  return example;
}

}  // namespace lmoe::data
