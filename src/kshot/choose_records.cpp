#include "kshot/choose_records.h"

#include <algorithm>

namespace lmoe::kshot {
namespace {

SimilarRecord nearest_sample(int64_t record, const UnitRows& open, const UnitRows& samples) {
  SimilarRecord best{.record = record, .sample = 0, .cosine = -2.0};
  for (int64_t s = 0; s < samples.count(); ++s) {
    const double similarity = cosine(open.row(record), samples.row(s));
    if (similarity > best.cosine) best = {record, s, similarity};
  }
  return best;
}

}  // namespace

double cosine(std::span<const float> a, std::span<const float> b) {
  // Several sums, so that the loop can be vectorised without reordering any of them.
  constexpr size_t kLanes = 16;
  float sums[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= a.size(); i += kLanes)
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  double sum = 0.0;
  for (const float part : sums) sum += part;
  for (; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

std::vector<SimilarRecord> most_similar(const UnitRows& open,
                                        const UnitRows& samples,
                                        int64_t count) {
  std::vector<SimilarRecord> all;
  for (int64_t i = 0; i < open.count(); ++i) all.push_back(nearest_sample(i, open, samples));
  std::stable_sort(all.begin(), all.end(), [](const SimilarRecord& a, const SimilarRecord& b) {
    return a.cosine > b.cosine;
  });
  all.resize(static_cast<size_t>(std::min(count, open.count())));
  return all;
}

std::vector<SimilarRecord> without_copies(const UnitRows& open,
                                          const std::vector<SimilarRecord>& similar,
                                          double threshold) {
  std::vector<SimilarRecord> kept;
  for (const SimilarRecord& one : similar) {
    const bool is_copy = std::any_of(kept.begin(), kept.end(), [&](const SimilarRecord& other) {
      return cosine(open.row(one.record), open.row(other.record)) > threshold;
    });
    if (!is_copy) kept.push_back(one);
  }
  return kept;
}

}  // namespace lmoe::kshot
