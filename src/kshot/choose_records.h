// Which records of open data are trained on beside a task's samples: those like them, without near
// copies of each other (arXiv 2408.15915).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lmoe::kshot {

/// One embedding of length 1 for each record, so that dot products are cosines.
struct UnitRows {
  std::span<const float> values;  ///< [count, width]
  int64_t width = 0;

  int64_t count() const { return width == 0 ? 0 : std::ssize(values) / width; }
  std::span<const float> row(int64_t i) const {
    return values.subspan(static_cast<size_t>(i * width), static_cast<size_t>(width));
  }
};

double cosine(std::span<const float> a, std::span<const float> b);

struct SimilarRecord {
  int64_t record = 0;  ///< row of the open data
  int64_t sample = 0;  ///< the sample it is most like; of equals the first
  double cosine = 0.0;
};

/// The `count` records whose largest cosine with a sample is largest, or all when there are fewer;
/// the most similar first, of equals the one that comes first.
std::vector<SimilarRecord> most_similar(const UnitRows& open,
                                        const UnitRows& samples,
                                        int64_t count);

/// From the most similar down, without each whose cosine with a record kept before it is above
/// `threshold`. In a chain of which only neighbours are alike both ends stay.
std::vector<SimilarRecord> without_copies(const UnitRows& open,
                                          const std::vector<SimilarRecord>& similar,
                                          double threshold);

}  // namespace lmoe::kshot
