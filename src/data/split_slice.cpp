#include "data/split_slice.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace lmoe::data {
namespace {

[[noreturn]] void refuse(const std::string& split) {
  fail(ErrorCode::kInvalidArgument, "[data] split: given \"", split,
       "\", expected train, valid or test, or a part of one such as train[:60%], train[60%:] or "
       "train[100:200]");
}

/// Nothing for an empty text.
std::optional<SliceEnd> parse_end(std::string text, const std::string& split) {
  if (text.empty()) return std::nullopt;
  SliceEnd end;
  end.is_percent = text.back() == '%';
  if (end.is_percent) text.pop_back();
  const char* last = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), last, end.value);
  if (error != std::errc{} || stop != last || end.value < 0 || (end.is_percent && end.value > 100))
    refuse(split);
  return end;
}

}  // namespace

int64_t SliceEnd::of(int64_t total) const {
  return is_percent ? (value * total + 50) / 100 : std::min(value, total);
}

std::pair<int64_t, int64_t> SplitSlice::range(int64_t total) const {
  const int64_t first = from ? from->of(total) : 0, last = to ? to->of(total) : total;
  LMOE_CHECK_ARG(first < last, "[data] split: the part of ", split, " holds none of its ", total,
                 " records: given ", first, " to ", last);
  return {first, last};
}

SplitSlice parse_split(const std::string& split) {
  SplitSlice slice;
  const size_t open = split.find('[');
  slice.split = split.substr(0, open);
  slice.is_slice = open != std::string::npos;
  const bool is_plain =
      !slice.split.empty() && slice.split[0] != '.' && slice.split.find('/') == std::string::npos;
  if (!is_plain) refuse(split);
  if (!slice.is_slice) return slice;
  const size_t colon = split.find(':', open);
  if (split.back() != ']' || colon == std::string::npos) refuse(split);
  slice.from = parse_end(split.substr(open + 1, colon - open - 1), split);
  slice.to = parse_end(split.substr(colon + 1, split.size() - colon - 2), split);
  return slice;
}

}  // namespace lmoe::data
