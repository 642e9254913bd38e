#include "generate/stop_matcher.h"

#include <algorithm>

#include "base/error.h"

namespace lmoe::generate {
namespace {

struct Match {
  size_t begin = std::string::npos;
  size_t end = std::string::npos;
  const std::string* stop = nullptr;

  bool is_better_than(const Match& other) const {
    return end != other.end ? end < other.end : begin < other.begin;
  }
};

}  // namespace

StopMatcher::StopMatcher(std::vector<std::string> stop) : stop_(std::move(stop)) {
  for (const std::string& text : stop_) {
    LMOE_CHECK_ARG(
        !text.empty(),
        "[generate] a stop text is empty: given \"\", expected text; every answer would end at "
        "once");
  }
}

std::string StopMatcher::add(std::string_view piece) {
  if (found_) return {};
  held_ += piece;
  Match best;
  for (const std::string& stop : stop_) {
    const size_t begin = held_.find(stop);
    if (begin == std::string::npos) continue;
    const Match match{begin, begin + stop.size(), &stop};
    if (match.is_better_than(best)) best = match;
  }
  if (best.stop != nullptr) {
    found_ = *best.stop;
    std::string out = held_.substr(0, best.begin);
    held_.clear();
    return out;
  }

  // The longest end of what is held that begins a stop text stays.
  size_t keep = 0;
  for (const std::string& stop : stop_) {
    for (size_t length = std::min(held_.size(), stop.size() - 1); length > keep; --length) {
      if (std::string_view(held_).ends_with(std::string_view(stop).substr(0, length)))
        keep = length;
    }
  }
  std::string out = held_.substr(0, held_.size() - keep);
  held_.erase(0, out.size());
  return out;
}

std::string StopMatcher::finish() { return std::exchange(held_, {}); }

}  // namespace lmoe::generate
