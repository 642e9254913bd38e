#include "train/validation.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <vector>

#include "base/error.h"
#include "distributed/all_or_none.h"
#include "train/micro_batch.h"

namespace lmoe::train {
namespace {

/// How many of the first rows have at most `most` positions; at least one.
size_t rows_that_fit(const Objective& objective,
                     std::span<const data::PackedRow> rows,
                     int64_t most) {
  size_t count = 0;
  for (int64_t sum = 0; count < rows.size(); ++count) {
    sum += objective.positions(rows[count]);
    if (sum > most && count > 0) break;
  }
  return count;
}

/// Numbers that add up over workers.
struct Share {
  double loss = 0.0, units = 0.0, correct_pairs = 0.0, counts_pairs = 0.0, interrupted = 0.0;

  std::vector<double*> places() {
    return {&loss, &units, &correct_pairs, &counts_pairs, &interrupted};
  }
};

/// Every `group.size()`-th forward, beginning with number `group.rank()`.
Share validate_share(const Objective& objective,
                     std::span<const data::PackedRow> rows,
                     int64_t tokens_per_forward,
                     const std::function<void(int64_t, int64_t)>& progress,
                     const distributed::ProcessGroup& group) {
  const c10::NoGradGuard no_grad;
  Share share;
  size_t begin = 0;
  for (int forward = 0; begin < rows.size(); ++forward) {
    const auto part =
        rows.subspan(begin, rows_that_fit(objective, rows.subspan(begin), tokens_per_forward));
    begin += part.size();
    if (forward % group.size() != group.rank()) continue;
    for (const data::PackedRow& row : part)
      share.units += static_cast<double>(objective.units(row));
    const MicroBatch batch = make_micro_batch(part);
    nn::ForwardContext context;
    context.segments = batch.segments;
    context.positions = nn::make_positions(batch.segments);
    const LossSum loss = objective.loss_sum(batch, context);
    share.loss += loss.loss.item<double>();
    if (loss.correct_pairs) {
      share.correct_pairs += static_cast<double>(*loss.correct_pairs);
      share.counts_pairs = 1.0;
    }
    if (progress) progress(static_cast<int64_t>(begin), static_cast<int64_t>(rows.size()));
  }
  return share;
}

/// The shares of all workers; kInterrupted in one of them is thrown by all.
Share sum_shares(distributed::ProcessGroup& group, const std::function<Share()>& own) {
  Share share;
  distributed::all_or_none(group, [&] {
    try {
      share = own();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInterrupted) throw;
      share.interrupted = 1.0;
    }
  });
  std::vector<double> numbers;
  for (const double* place : share.places()) numbers.push_back(*place);
  group.sum(numbers);
  const std::vector<double*> places = share.places();
  for (size_t i = 0; i < places.size(); ++i) *places[i] = numbers[i];
  if (share.interrupted > 0.0) fail(ErrorCode::kInterrupted, "[validation] interrupted");
  return share;
}

}  // namespace

ValidationResult validate(const Objective& objective,
                          std::span<const data::PackedRow> rows,
                          int64_t tokens_per_forward,
                          const std::function<void(int64_t, int64_t)>& progress,
                          distributed::ProcessGroup& group) {
  const Share all = sum_shares(
      group, [&] { return validate_share(objective, rows, tokens_per_forward, progress, group); });
  LMOE_CHECK_ARG(all.units > 0.0, "[validation] no held-out ", objective.unit(), " carries loss");
  ValidationResult result = all.loss / all.units;
  if (all.counts_pairs > 0.0) result.pair_accuracy = all.correct_pairs / all.units;
  return result;
}

double validation_loss(const models::Decoder& decoder,
                       std::span<const data::PackedRow> rows,
                       int64_t tokens_per_forward,
                       const std::function<void(int64_t, int64_t)>& progress,
                       distributed::ProcessGroup& group) {
  return validate(*make_language_model_objective(decoder), rows, tokens_per_forward, progress,
                  group)
      .loss;
}

}  // namespace lmoe::train
