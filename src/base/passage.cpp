#include "base/passage.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace lmoe {

Passages passages_within(std::span<const Passage> passages, int64_t first, int64_t count) {
  Passages within;
  for (const Passage& passage : passages) {
    const int64_t begin = std::max<int64_t>(passage.begin - first, 0);
    const int64_t end = std::min(passage.end - first, count);
    if (begin < end) within.push_back({begin, end, passage.number});
  }
  return within;
}

void append_passages(Passages& passages, std::span<const Passage> more, int64_t first) {
  for (const Passage& passage : more)
    passages.push_back({passage.begin + first, passage.end + first, passage.number});
}

void check_passages(std::span<const Passage> passages, const std::string& operation) {
  int64_t end = 0;
  std::set<int64_t> numbers;
  for (const Passage& passage : passages) {
    LMOE_CHECK_ARG(passage.begin >= end && passage.end > passage.begin, operation,
                   " passages must follow each other and hold tokens: given tokens ", passage.begin,
                   " to ", passage.end, " for passage ", passage.number, ", expected to begin at ",
                   end, " or later");
    LMOE_CHECK_ARG(passage.number >= 1 && numbers.insert(passage.number).second, operation,
                   " passage ", passage.number,
                   " cannot be: given twice or below 1, expected one consecutive run of tokens for "
                   "each number from 1 on");
    end = passage.end;
  }
}

}  // namespace lmoe
