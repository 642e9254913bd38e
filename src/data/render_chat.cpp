#include <algorithm>

#include "base/error.h"
#include "data/render.h"

namespace lmoe::data {

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

size_t Renderer::prefix(const Record& record,
                        size_t turns,
                        bool prompt,
                        const std::string& whole) const {
  if (turns == 0) return 0;
  const Json some(record.messages.begin(), record.messages.begin() + static_cast<ptrdiff_t>(turns));
  const std::string text = chat_->render_marked(some, record.tools, prompt);
  LMOE_CHECK_ARG(whole.starts_with(text), "the first ", turns,
                 " turns alone do not give the beginning of the whole conversation, so its turns "
                 "cannot be masked; hint: one answer per record, or another chat_template");
  return text.size();
}

std::vector<Renderer::PassageStart> Renderer::passage_starts(const Record& record,
                                                             size_t turns,
                                                             const std::string& whole) const {
  std::vector<PassageStart> starts = {{0, 0}};
  const std::vector<int64_t>& passages = record.message_passages;
  for (size_t i = 0; !passages.empty() && i <= turns; ++i) {
    const int64_t passage = i < std::min(turns, passages.size()) ? passages[i] : 0;
    if (passage != starts.back().passage)
      starts.push_back({prefix(record, i, /*prompt=*/false, whole), passage});
  }
  return starts;
}

void Renderer::append_text(Example& example,
                           const std::string& whole,
                           size_t begin,
                           size_t end,
                           const std::vector<PassageStart>& starts,
                           bool labelled) const {
  for (size_t i = 0; i < starts.size(); ++i) {
    const size_t from = std::max(begin, starts[i].at);
    const size_t to = i + 1 < starts.size() ? std::min(end, starts[i + 1].at) : end;
    if (from < to)
      example.append(chat_->encode_marked(whole.substr(from, to - from), /*at_start=*/from == 0),
                     labelled, starts[i].passage);
  }
}

Example Renderer::render_unanswered(const Record& record) const {
  size_t turns = record.messages.size();
  while (turns > 1 && record.messages[turns - 1]["role"] == "assistant") --turns;
  const Json messages(record.messages.begin(),
                      record.messages.begin() + static_cast<ptrdiff_t>(turns));
  const std::string whole =
      chat_->render_marked(messages, record.tools, /*add_generation_prompt=*/true);
  Example example;
  append_text(example, whole, 0, whole.size(), passage_starts(record, turns, whole),
              /*labelled=*/false);
  return example;
}

Example Renderer::render_turns(const Record& record) const {
  const size_t turns = record.messages.size();
  const std::string whole = chat_->render_marked(record.messages, record.tools, false);
  const std::vector<PassageStart> starts = passage_starts(record, turns, whole);
  Example example;
  size_t done = 0;
  if (options_.train_on_inputs) {
    for (size_t i = 0; !record.message_passages.empty() && i < turns; ++i) {
      if (record.messages[i]["role"] != "assistant") continue;
      const size_t begin = std::max(done, prefix(record, i, /*prompt=*/true, whole));
      append_text(example, whole, done, begin, starts, /*labelled=*/true);
      answer_follows(example);
      done = begin;
    }
    append_text(example, whole, done, whole.size(), starts, /*labelled=*/true);
    settle_passages(example, record);
    return example;
  }
  for (size_t i = 0; i < turns; ++i) {
    if (!is_trained(record.messages[i])) continue;
    const bool is_answer = record.messages[i]["role"] == "assistant";
    const size_t begin = std::max(done, prefix(record, i, is_answer, whole));
    const size_t end = std::max(
        begin, i + 1 < turns ? prefix(record, i + 1, /*prompt=*/false, whole) : whole.size());
    append_text(example, whole, done, begin, starts, /*labelled=*/false);
    if (is_answer) answer_follows(example);
    append_turn(example, whole, begin, end, starts);
    done = end;
  }
  append_text(example, whole, done, whole.size(), starts, /*labelled=*/false);
  settle_passages(example, record);
  return example;
}

void Renderer::append_turn(Example& example,
                           const std::string& whole,
                           size_t first_byte,
                           size_t end_byte,
                           const std::vector<PassageStart>& starts) const {
  const size_t begin = example.ids.size();
  append_text(example, whole, first_byte, end_byte, starts, /*labelled=*/true);
  // What a template writes behind the end of the turn is not the model's to say.
  const auto ids = std::span(example.ids).subspan(begin);
  const auto last =
      std::find_first_of(ids.rbegin(), ids.rend(), end_tokens_.begin(), end_tokens_.end());
  if (last == ids.rend()) return;
  std::fill(example.labels.end() - (last - ids.rbegin()), example.labels.end(), kIgnoreLabel);
}

}  // namespace lmoe::data
