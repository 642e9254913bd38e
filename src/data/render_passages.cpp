#include <algorithm>

#include "base/error.h"
#include "data/render.h"

namespace lmoe::data {

int64_t Renderer::beginning(const Example& example, const Record& record) const {
  const auto bos = tokenizer_->special_tokens().bos;
  const int64_t first = bos && example.ids[0] == *bos ? 1 : 0;
  if (!record.is_chat() || !record.messages[0].value("content", Json()).is_string()) return first;
  Json says_nothing = record.messages[0];
  says_nothing["content"] = "";
  try {
    const auto ids = chat_->encode_marked(
        chat_->render_marked(Json::array({says_nothing}), record.tools, false), /*at_start=*/true);
    const auto same = std::mismatch(ids.begin(), ids.end(), example.ids.begin(), example.ids.end());
    return std::max<int64_t>(first, same.first - ids.begin());
  } catch (const Error&) {  // a template that wants every turn to say something
    return first;
  }
}

void Renderer::answer_follows(Example& example) {
  Passages& passages = example.passages;
  if (!passages.empty() && passages.back().end == example.length()) --passages.back().end;
}

void Renderer::settle_passages(Example& example, const Record& record) const {
  Passages& passages = example.passages;
  if (passages.empty()) return;
  if (passages[0].begin == 0)
    passages[0].begin = std::min(beginning(example, record), passages[0].end);
  // Tokens before the first passage are everybody's: those of one that vanishes would be, too.
  LMOE_CHECK_ARG(passages.size() == 1 || passages[0].begin < passages[0].end, "[data] passage ",
                 passages[0].number, " of the record at line ", record.line,
                 " has no token that is its own alone, and others follow; hint: a longer text, or "
                 "none there");
  for (size_t i = 1; i < passages.size(); ++i) {
    if (passages[i].begin == passages[i - 1].end)
      example.labels[static_cast<size_t>(passages[i].begin)] = kIgnoreLabel;
  }
  std::erase_if(passages, [](const Passage& passage) { return passage.begin == passage.end; });
}

}  // namespace lmoe::data
