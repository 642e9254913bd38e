#include "train/validation.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "base/error.h"
#include "train/micro_batch.h"

namespace lmoe::train {
namespace {

/// How many of the first rows hold at most `tokens` tokens; at least one.
size_t rows_that_fit(std::span<const data::PackedRow> rows, int64_t tokens) {
  size_t count = 0;
  for (int64_t sum = 0; count < rows.size(); ++count) {
    sum += rows[count].length();
    if (sum > tokens && count > 0) break;
  }
  return count;
}

}  // namespace

ValidationResult validate(const Objective& objective,
                          std::span<const data::PackedRow> rows,
                          int64_t tokens_per_forward,
                          const std::function<void(int64_t, int64_t)>& progress) {
  const c10::NoGradGuard no_grad;
  double sum = 0.0;
  int64_t units = 0;
  std::optional<int64_t> correct;
  for (size_t begin = 0; begin < rows.size();) {
    const size_t count = rows_that_fit(rows.subspan(begin), tokens_per_forward);
    const auto part = rows.subspan(begin, count);
    for (const data::PackedRow& row : part) units += objective.units(row);
    const MicroBatch batch = make_micro_batch(part);
    nn::ForwardContext context;
    context.segments = batch.segments;
    context.positions = nn::make_positions(batch.segments);
    const LossSum loss = objective.loss_sum(batch, context);
    sum += loss.loss.item<double>();
    if (loss.correct_pairs) correct = correct.value_or(0) + *loss.correct_pairs;
    begin += count;
    if (progress) progress(static_cast<int64_t>(begin), static_cast<int64_t>(rows.size()));
  }
  LMOE_CHECK_ARG(units > 0, "[validation] no held-out ", objective.unit(), " carries loss");
  ValidationResult result = sum / static_cast<double>(units);
  if (correct) result.pair_accuracy = static_cast<double>(*correct) / static_cast<double>(units);
  return result;
}

double validation_loss(const models::Decoder& decoder,
                       std::span<const data::PackedRow> rows,
                       int64_t tokens_per_forward,
                       const std::function<void(int64_t, int64_t)>& progress) {
  return validate(*make_language_model_objective(decoder), rows, tokens_per_forward, progress).loss;
}

}  // namespace lmoe::train
