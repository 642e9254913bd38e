#include "data/preview.h"

#include <algorithm>
#include <cstdio>

#include "base/error.h"
#include "text/utf8.h"

namespace lmoe::data {
namespace {

/// Bytes as text; what is no whole character as <0xE2>.
std::string shown(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const text::Utf8Step step = text::utf8_step(bytes);
    const auto length = static_cast<size_t>(step.length);
    if (step.valid) {
      out += bytes.substr(0, length);
    } else {
      for (const char c : bytes.substr(0, length)) {
        char hex[8];
        std::snprintf(hex, sizeof hex, "<0x%02X>", static_cast<unsigned char>(c));
        out += hex;
      }
    }
    bytes.remove_prefix(length);
  }
  return out;
}

/// One past the last token whose label is there, or is not, as it is at `begin`, and whose passage
/// is the same.
size_t run_end(const Example& example, size_t begin) {
  const auto supervised = [&](size_t i) { return example.labels[i] != kIgnoreLabel; };
  size_t end = begin;
  while (end < example.ids.size() && supervised(end) == supervised(begin)) ++end;
  for (const Passage& passage : example.passages)
    for (const auto border : {static_cast<size_t>(passage.begin), static_cast<size_t>(passage.end)})
      if (border > begin) end = std::min(end, border);
  return end;
}

/// What stands between two tokens because of passages that end or begin there.
std::string passage_marks(const Example& example, size_t token, const PreviewMarks& marks) {
  std::string text;
  for (const Passage& passage : example.passages) {
    if (static_cast<size_t>(passage.end) == token) text += marks.passage_close;
    if (static_cast<size_t>(passage.begin) == token)
      text += concat(marks.passage_open, passage.number, ": ");
  }
  return text;
}

}  // namespace

std::string preview(const Example& example,
                    const text::Tokenizer& tokenizer,
                    const PreviewMarks& marks) {
  std::string text, ids = "ids:";
  for (size_t begin = 0; begin < example.ids.size();) {
    const size_t end = run_end(example, begin);
    const bool supervised = example.labels[begin] != kIgnoreLabel;
    std::string bytes;
    text += passage_marks(example, begin, marks);
    if (supervised) {
      text += marks.open;
      ids += concat(" ", marks.open);
    }
    for (size_t i = begin; i < end; ++i) {
      const std::string token = tokenizer.token_bytes(example.ids[i]);
      ids += concat(supervised && i == begin ? "" : " ", example.ids[i]);
      if (!supervised) {
        bytes += token;
        continue;
      }
      if (i > begin) text += marks.token_border;
      text += shown(token);
    }
    text += shown(bytes);
    if (supervised) {
      text += marks.close;
      ids += marks.close;
    }
    begin = end;
  }
  return text + passage_marks(example, example.ids.size(), marks) + "\n" + ids;
}

}  // namespace lmoe::data
