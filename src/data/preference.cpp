#include "data/preference.h"

#include <algorithm>

namespace lmoe::data {
namespace {

/// The first `count` ids from `begin` on.
Example part(const Example& example, int64_t begin, int64_t count) {
  Example side;
  side.ids.assign(example.ids.begin() + begin, example.ids.begin() + begin + count);
  side.line = example.line;
  side.passages = passages_within(example.passages, begin, count);
  return side;
}

}  // namespace

Record with_answer(const Record& record, const std::string& answer) {
  Record side = record;
  side.rejected.clear();
  side.response = answer;
  if (side.is_chat()) side.messages.push_back({{"role", "assistant"}, {"content", answer}});
  return side;
}

Example join_sides(const Example& chosen, const Example& rejected) {
  Example both;
  both.line = chosen.line;
  both.rejected_at = chosen.length();
  for (const Example* side : {&chosen, &rejected}) {
    append_passages(both.passages, side->passages, both.length());
    both.ids.insert(both.ids.end(), side->ids.begin(), side->ids.end());
    both.labels.resize(both.ids.size(), kIgnoreLabel);
    both.labels.back() = both.ids.back();
  }
  return both;
}

bool cut_sides(Example& preference, int64_t limit) {
  const int64_t chosen = preference.rejected_at, rejected = preference.length() - chosen;
  const int64_t kept_chosen = std::min(chosen, std::max(limit / 2, limit - rejected));
  const int64_t kept_rejected = std::min(rejected, limit - kept_chosen);
  const Example first = part(preference, 0, kept_chosen);
  const Example second = part(preference, chosen, kept_rejected);
  preference = join_sides(first, second);
  preference.cut = true;
  const size_t common = static_cast<size_t>(std::min(kept_chosen, kept_rejected));
  // A side that is the beginning of the other differs by its end, unless that was cut off.
  return !std::equal(first.ids.begin(), first.ids.begin() + static_cast<ptrdiff_t>(common),
                     second.ids.begin()) ||
         (kept_chosen != kept_rejected);
}

}  // namespace lmoe::data
