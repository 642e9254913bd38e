// How many steps a run takes, and after which of them it saves and validates.
#pragma once

#include <cstdint>

#include "data/row_stream.h"
#include "recipe/recipe.h"

namespace lmoe::train {

struct Cadence {
  int64_t total_steps = 0;
  int64_t save_every = 0;  ///< 0: only at the end
  int64_t eval_every = 0;  ///< 0: only at the end
};

/// The end of the run always saves and validates. Times per epoch are rounded to whole steps.
Cadence plan_cadence(const recipe::Recipe& recipe, const data::RowStream& rows);

inline bool is_due(int64_t step, int64_t every, int64_t total_steps) {
  return step == total_steps || (every > 0 && step % every == 0);
}

}  // namespace lmoe::train
