#include "data/row_stream.h"

#include <cmath>
#include <numeric>
#include <string_view>

#include "base/error.h"
#include "base/hash.h"
#include "base/rng.h"

namespace lmoe::data {
namespace {

template <class T>
std::string_view bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string fingerprint_of(std::span<const EncodedDataset> datasets) {
  std::string summary;
  for (const EncodedDataset& set : datasets) {
    std::string bytes;
    for (const Example& example : set.examples) {
      ((bytes += concat(example.length(), ";")) += bytes_of(example.ids)) +=
          bytes_of(example.labels);
      if (example.rejected_at > 0) bytes += concat(example.rejected_at, ";");
      for (const Passage& passage : example.passages)
        bytes += concat("passage ", passage.begin, " ", passage.end, " ", passage.number, ";");
    }
    summary += concat(std::hexfloat, set.weight, " ", sha256_hex(bytes), "\n");
  }
  return sha256_hex(summary);
}

Json options_json(const StreamOptions& options) {
  Json json = {{"sequence_len", options.sequence_len},
               {"sample_packing", options.sample_packing},
               {"seed", options.seed},
               {"packing_window", options.packing_window}};
  if (options.prompt_positions > 0) json["prompt_positions"] = options.prompt_positions;
  return json;
}

/// Position in the endless sequence of passes over a data set where an epoch begins.
int64_t first_draw(const EncodedDataset& set, int64_t epoch) {
  return std::llround(static_cast<double>(epoch) * set.weight *
                      static_cast<double>(set.examples.size()));
}

/// The order of one pass over a data set.
std::vector<int32_t> pass_order(size_t size, uint64_t seed, size_t dataset, int64_t pass) {
  std::vector<int32_t> order(size);
  std::iota(order.begin(), order.end(), 0);
  Rng rng(seed, (static_cast<uint64_t>(dataset) + 1) << 40 | static_cast<uint64_t>(pass));
  rng.shuffle(std::span(order));
  return order;
}

}  // namespace

RowStream::RowStream(std::span<const EncodedDataset> datasets, StreamOptions options)
    : datasets_(datasets), options_(options) {
  LMOE_CHECK_ARG(options_.sequence_len > 0 && options_.packing_window > 0,
                 "[data] sequence_len and packing_window must be positive: given ",
                 options_.sequence_len, " and ", options_.packing_window);
  double draws = 0.0;
  for (const EncodedDataset& set : datasets_)
    draws += set.weight * static_cast<double>(set.examples.size());
  LMOE_CHECK_ARG(draws >= 1.0, "[data] the data sets and their weights give ", draws,
                 " examples per epoch, expected at least one");
  fingerprint_ = fingerprint_of(datasets_);
  go_to(0, 0);
}

std::vector<ExampleRef> RowStream::draw(int64_t epoch) const {
  std::vector<ExampleRef> drawn;
  for (size_t d = 0; d < datasets_.size(); ++d) {
    const auto size = static_cast<int64_t>(datasets_[d].examples.size());
    int64_t at = first_draw(datasets_[d], epoch);
    const int64_t end = first_draw(datasets_[d], epoch + 1);
    while (at < end) {
      const int64_t pass = at / size;
      const auto order = pass_order(static_cast<size_t>(size), options_.seed, d, pass);
      for (; at < end && at / size == pass; ++at)
        drawn.push_back({static_cast<int32_t>(d), order[static_cast<size_t>(at % size)]});
    }
  }
  return drawn;
}

RowStream::Plan RowStream::plan(int64_t epoch) const {
  Rng rng(options_.seed, static_cast<uint64_t>(epoch));
  std::vector<ExampleRef> drawn = draw(epoch);
  rng.shuffle(std::span(drawn));
  Plan rows = group_examples(datasets_, drawn, options_.sequence_len, options_.packing_window,
                             options_.sample_packing, options_.prompt_positions);
  // Packing brings rows into the order of their longest example; learning should not see that.
  if (options_.sample_packing) rng.shuffle(std::span(rows));
  return rows;
}

void RowStream::go_to(int64_t epoch, int64_t row) {
  epoch_ = epoch;
  row_ = row;
  plan_ = plan(epoch_);
  while (row_ >= static_cast<int64_t>(plan_.size())) {
    row_ = 0;
    plan_ = plan(++epoch_);
  }
}

PackedRow RowStream::next() {
  PackedRow row = build_row(datasets_, plan_[static_cast<size_t>(row_)]);
  if (++row_ == static_cast<int64_t>(plan_.size())) go_to(epoch_ + 1, 0);
  return row;
}

int64_t RowStream::rows_in_epoch(int64_t epoch) const {
  return static_cast<int64_t>(epoch == epoch_ ? plan_.size() : plan(epoch).size());
}

int64_t RowStream::rows_in_epochs(double epochs) const {
  LMOE_CHECK_ARG(epochs > 0.0 && epochs < 1e6, "[data] epochs: given ", epochs,
                 ", expected more than 0 and less than 1000000");
  int64_t rows = 0;
  const auto whole = static_cast<int64_t>(std::floor(epochs));
  for (int64_t epoch = 0; epoch < whole; ++epoch) rows += rows_in_epoch(epoch);
  const double rest = epochs - std::floor(epochs);
  if (rest > 0.0)
    rows += static_cast<int64_t>(std::ceil(rest * static_cast<double>(rows_in_epoch(whole))));
  return rows;
}

Json RowStream::state() const {
  return Json{{"epoch", epoch_},
              {"row", row_},
              {"data", fingerprint_},
              {"options", options_json(options_)}};
}

void RowStream::restore(const Json& state) {
  const auto whole_number = [&](const char* key) {
    const bool fits = state.is_object() && state.contains(key) && state[key].is_number_integer() &&
                      state[key].get<int64_t>() >= 0;
    LMOE_CHECK_DATA(fits, "[resume] data cursor: \"", key, "\" is no whole number");
    return state[key].get<int64_t>();
  };
  const int64_t epoch = whole_number("epoch"), row = whole_number("row");
  const Json expected = this->state();
  LMOE_CHECK_ARG(state.contains("options") && state["options"].is_object() &&
                     state.value("data", Json()) == expected["data"],
                 "[resume] the training data differ: checkpoint ", state.value("data", Json()),
                 ", given ", expected["data"],
                 "; hint: data files, weights, tokenizer, template or masks have changed");
  for (const auto& [key, value] : expected["options"].items()) {
    LMOE_CHECK_ARG(state["options"].value(key, Json()) == value, "[resume] ", key,
                   " differs: checkpoint ", state["options"].value(key, Json()), ", given ", value);
  }
  LMOE_CHECK_DATA(epoch < 1'000'000 && row < rows_in_epoch(epoch), "[resume] data cursor: epoch ",
                  epoch, " has no row ", row);
  go_to(epoch, row);
}

std::vector<PackedRow> pack_in_order(std::span<const EncodedDataset> datasets,
                                     const StreamOptions& options) {
  std::vector<PackedRow> rows;
  for (size_t d = 0; d < datasets.size(); ++d) {
    std::vector<ExampleRef> all(datasets[d].examples.size());
    for (size_t i = 0; i < all.size(); ++i)
      all[i] = {static_cast<int32_t>(d), static_cast<int32_t>(i)};
    for (const auto& group :
         group_examples(datasets, all, options.sequence_len, options.packing_window,
                        options.sample_packing, options.prompt_positions))
      rows.push_back(build_row(datasets, group));
  }
  return rows;
}

}  // namespace lmoe::data
