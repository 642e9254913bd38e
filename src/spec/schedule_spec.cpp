#include "spec/schedule_spec.h"

#include <algorithm>

namespace lmoe::spec {

int64_t ScheduleSpec::stage_at(double progress, int64_t experts) const {
  int64_t stage = 0;
  if (stage_starts.empty())
    stage = static_cast<int64_t>(progress * static_cast<double>(experts) + 1e-9);  // 0.29999…
  else
    stage = std::count_if(stage_starts.begin() + 1, stage_starts.end(),
                          [&](double start) { return progress >= start; });
  return std::min(stage, experts - 1);
}

}  // namespace lmoe::spec
