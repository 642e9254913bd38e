#include "train/validation.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <vector>

#include "base/error.h"
#include "distributed/all_or_none.h"
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

/// Numbers that add up over workers.
struct Share {
  double loss = 0.0, labelled = 0.0, interrupted = 0.0;
};

/// Every `workers`-th forward, beginning with number `worker`.
Share validate_share(const models::Decoder& decoder,
                     std::span<const data::PackedRow> rows,
                     int64_t tokens_per_forward,
                     const std::function<void(int64_t, int64_t)>& progress,
                     const distributed::ProcessGroup& group) {
  const c10::NoGradGuard no_grad;
  Share share;
  size_t begin = 0;
  for (int forward = 0; begin < rows.size(); ++forward) {
    const auto part = rows.subspan(begin, rows_that_fit(rows.subspan(begin), tokens_per_forward));
    begin += part.size();
    if (forward % group.size() != group.rank()) continue;
    const MicroBatch batch = make_micro_batch(part);
    nn::ForwardContext context;
    context.segments = batch.segments;
    context.positions = nn::make_positions(batch.segments);
    const at::Tensor hidden = decoder.forward(batch.ids, context);
    share.loss += nn::labelled_cross_entropy_sum(hidden, batch.labels, decoder.lm_head(),
                                                 decoder.config().final_logit_softcapping)
                      .item<double>();
    share.labelled += static_cast<double>(batch.labelled);
    if (progress) progress(static_cast<int64_t>(begin), static_cast<int64_t>(rows.size()));
  }
  return share;
}

}  // namespace

double validation_loss(const models::Decoder& decoder,
                       std::span<const data::PackedRow> rows,
                       int64_t tokens_per_forward,
                       const std::function<void(int64_t, int64_t)>& progress,
                       distributed::ProcessGroup& group) {
  Share share;
  distributed::all_or_none(group, [&] {
    try {
      share = validate_share(decoder, rows, tokens_per_forward, progress, group);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInterrupted) throw;
      share.interrupted = 1.0;
    }
  });
  std::vector<double> numbers = {share.loss, share.labelled, share.interrupted};
  group.sum(numbers);
  if (numbers[2] > 0.0) fail(ErrorCode::kInterrupted, "[validation] interrupted");
  LMOE_CHECK_ARG(numbers[1] > 0.0, "[validation] no held-out token carries loss");
  return numbers[0] / numbers[1];
}

}  // namespace lmoe::train
