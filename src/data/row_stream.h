// The endless, repeatable stream of packed rows a run trains on.
//
// In each epoch every record of a data set of weight w is seen w times (0.5: half of the records,
// the other half in the next epoch). The epoch's examples are shuffled across data sets and packed
// window by window. An epoch is a function of (data, options, seed, epoch number) alone, so the
// cursor is two numbers and resuming is exact.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/encoded_dataset.h"
#include "data/packing.h"
#include "data/row_builder.h"

namespace lmoe::data {

struct StreamOptions {
  int64_t sequence_len = 512;
  bool sample_packing = true;
  uint64_t seed = 42;
  /// Examples packed together. Larger wastes less room; smaller keeps the order more random.
  int64_t packing_window = 1024;
  /// Positions of a row that each document takes besides its tokens: a mixture's prompts.
  int64_t prompt_positions = 0;
};

class RowStream {
 public:
  /// Keeps a reference: `datasets` must outlive the stream. Throws kInvalidArgument without
  /// examples.
  RowStream(std::span<const EncodedDataset> datasets, StreamOptions options);

  /// The next row; goes on into the next epoch at the end of one.
  PackedRow next();

  int64_t epoch() const { return epoch_; }      ///< 0-based epoch of the row `next` will give
  int64_t row() const { return row_; }          ///< 0-based row in that epoch
  int64_t rows_in_epoch(int64_t epoch) const;   ///< plans that epoch; exact
  int64_t rows_in_epochs(double epochs) const;  ///< rows of the first epochs, a fraction rounded up

  /// {"epoch", "row", "data", "options"}: everything needed to go on.
  Json state() const;
  /// Throws kInvalidArgument naming what differs when the data, the options or the seed are not
  /// those of the state, kCorruptData for a state that is none.
  void restore(const Json& state);
  /// SHA-256 over all ids, labels, passages and weights.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  using Plan = std::vector<std::vector<ExampleRef>>;

  std::vector<ExampleRef> draw(int64_t epoch) const;
  Plan plan(int64_t epoch) const;
  void go_to(int64_t epoch, int64_t row);

  std::span<const EncodedDataset> datasets_;
  StreamOptions options_;
  std::string fingerprint_;
  int64_t epoch_ = 0;
  int64_t row_ = 0;
  Plan plan_;  // of epoch_
};

/// Every example once, data set by data set, packed, in a fixed order; for validation.
std::vector<PackedRow> pack_in_order(std::span<const EncodedDataset> datasets,
                                     const StreamOptions& options);

}  // namespace lmoe::data
