#include "data/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "base/error.h"
#include "data/render.h"

namespace lmoe::data {

DatasetStatistics measure(std::span<const Example> examples) {
  DatasetStatistics statistics;
  std::vector<int64_t> lengths;
  for (const Example& example : examples) {
    lengths.push_back(example.length());
    statistics.tokens += example.length();
    statistics.labelled_tokens += example.labelled();
    statistics.cut += example.cut ? 1 : 0;
  }
  statistics.examples = static_cast<int64_t>(lengths.size());
  if (lengths.empty()) return statistics;
  std::sort(lengths.begin(), lengths.end());
  statistics.mean_tokens =
      static_cast<double>(statistics.tokens) / static_cast<double>(lengths.size());
  const size_t rank = (lengths.size() * 95 + 99) / 100;  // nearest rank
  statistics.p95_tokens = lengths[rank - 1];
  statistics.max_tokens = lengths.back();
  return statistics;
}

std::string DatasetStatistics::text() const {
  char mean[32];
  std::snprintf(mean, sizeof mean, "%.1f", mean_tokens);
  std::string out =
      concat(examples, " examples, ", tokens, " tokens (mean ", mean, ", p95 ", p95_tokens,
             ", max ", max_tokens, "), ", std::lround(100.0 * labelled_share()), " % labelled");
  if (cut > 0) out += concat(", ", cut, " cut off");
  if (dropped > 0) out += concat(", ", dropped, " too long and dropped");
  return out;
}

Json DatasetStatistics::json() const {
  return Json{{"examples", examples},
              {"dropped", dropped},
              {"cut", cut},
              {"tokens", tokens},
              {"labelled_tokens", labelled_tokens},
              {"labelled_share", labelled_share()},
              {"mean_tokens", mean_tokens},
              {"p95_tokens", p95_tokens},
              {"max_tokens", max_tokens}};
}

}  // namespace lmoe::data
