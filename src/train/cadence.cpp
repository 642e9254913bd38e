#include "train/cadence.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace lmoe::train {
namespace {

int64_t ceil_divide(int64_t value, int64_t by) { return (value + by - 1) / by; }

int64_t interval(std::optional<int64_t> steps, std::optional<int64_t> per_epoch, int64_t in_epoch) {
  if (steps) return *steps;
  if (!per_epoch) return 0;
  const double exact = static_cast<double>(in_epoch) / static_cast<double>(*per_epoch);
  return std::max<int64_t>(1, std::llround(exact));
}

}  // namespace

Cadence plan_cadence(const recipe::Recipe& recipe, const data::RowStream& rows) {
  const int64_t rows_per_step =
      recipe.batch.micro_batch_size * recipe.batch.gradient_accumulation_steps;
  const int64_t steps_in_epoch = ceil_divide(rows.rows_in_epoch(0), rows_per_step);
  Cadence cadence;
  cadence.total_steps = recipe.batch.max_steps.value_or(
      ceil_divide(rows.rows_in_epochs(recipe.batch.num_epochs), rows_per_step));
  cadence.save_every = interval(recipe.run.save_steps, recipe.run.saves_per_epoch, steps_in_epoch);
  cadence.eval_every = interval(recipe.run.eval_steps, recipe.run.evals_per_epoch, steps_in_epoch);
  return cadence;
}

}  // namespace lmoe::train
