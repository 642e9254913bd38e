// A part of a data set in the spelling of Hugging Face's datasets: "train[:60%]".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace lmoe::data {

/// One end of a slice: a number of records, or a share of all of them.
struct SliceEnd {
  int64_t value = 0;
  bool is_percent = false;

  /// Of `total` records; shares are rounded to the nearest record, halves up.
  int64_t of(int64_t total) const;
};

struct SplitSlice {
  std::string split;  ///< "train"
  bool is_slice = false;
  std::optional<SliceEnd> from, to;

  /// [first, last) of `total` records. Throws kInvalidArgument when that is none of them.
  std::pair<int64_t, int64_t> range(int64_t total) const;
};

/// "train", "train[:60%]", "train[60%:]", "test[100:200]". Throws kInvalidArgument.
SplitSlice parse_split(const std::string& split);

}  // namespace lmoe::data
