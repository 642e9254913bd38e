#include "train/validation.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "base/error.h"
#include "nn/loss.h"
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

double validation_loss(const models::Decoder& decoder,
                       std::span<const data::PackedRow> rows,
                       int64_t tokens_per_forward,
                       const std::function<void(int64_t, int64_t)>& progress) {
  const c10::NoGradGuard no_grad;
  double sum = 0.0;
  int64_t labelled = 0;
  for (size_t begin = 0; begin < rows.size();) {
    const size_t count = rows_that_fit(rows.subspan(begin), tokens_per_forward);
    const MicroBatch batch = make_micro_batch(rows.subspan(begin, count));
    nn::ForwardContext context;
    context.segments = batch.segments;
    context.positions = nn::make_positions(batch.segments);
    const at::Tensor hidden = decoder.forward(batch.ids, context);
    sum += nn::labelled_cross_entropy_sum(hidden, batch.labels, decoder.lm_head(),
                                          decoder.config().final_logit_softcapping)
               .item<double>();
    labelled += batch.labelled;
    begin += count;
    if (progress) progress(static_cast<int64_t>(begin), static_cast<int64_t>(rows.size()));
  }
  LMOE_CHECK_ARG(labelled > 0, "[validation] no held-out token carries loss");
  return sum / static_cast<double>(labelled);
}

}  // namespace lmoe::train
