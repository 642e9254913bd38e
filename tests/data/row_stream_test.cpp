#include "data/row_stream.h"

#include <map>
#include <numeric>

#include "base/rng.h"
#include "data/data_files.h"
#include "data/packing.h"

namespace lmoe::data {
namespace {

using test::expect_error;

EncodedDataset dataset(int count, double weight, TokenId token, uint64_t seed = 3) {
  EncodedDataset set;
  set.weight = weight;
  Rng rng(seed);
  for (int i = 0; i < count; ++i) {
    Example example;
    const size_t length = 2 + rng.below(30);
    example.ids.assign(length, token);
    example.labels.assign(length, kIgnoreLabel);
    example.labels.back() = token;
    example.line = i + 1;
    set.examples.push_back(example);
  }
  return set;
}

std::vector<EncodedDataset> two_sets() {
  std::vector<EncodedDataset> sets;
  sets.push_back(dataset(50, 1.0, 11));
  sets.push_back(dataset(40, 0.5, 22, 4));
  return sets;
}

StreamOptions small() {
  StreamOptions options;
  options.sequence_len = 64;
  options.packing_window = 16;
  return options;
}

bool same(const PackedRow& a, const PackedRow& b) {
  if (a.ids != b.ids || a.labels != b.labels || a.segments.size() != b.segments.size())
    return false;
  for (size_t i = 0; i < a.segments.size(); ++i)
    if (a.segments[i].line != b.segments[i].line || a.segments[i].dataset != b.segments[i].dataset)
      return false;
  return true;
}

using Seen = std::map<std::pair<int32_t, int64_t>, int>;

Seen run_epoch(RowStream& stream) {
  Seen seen;
  const int64_t epoch = stream.epoch();
  while (stream.epoch() == epoch)
    for (const Segment& segment : stream.next().segments) ++seen[{segment.dataset, segment.line}];
  return seen;
}

TEST(Packing, BestFitFillsBinsAndLosesNothing) {
  const std::vector<int32_t> lengths = {6, 4, 3, 7, 5, 5, 10, 1};
  const auto bins = pack_best_fit(lengths, 10);
  // 10 | 7+3 | 6+4 | 5+5 | 1: by hand.
  EXPECT_EQ(bins, (std::vector<std::vector<int32_t>>{{6}, {3, 2}, {0, 1}, {4, 5}, {7}}));
  EXPECT_TRUE(pack_best_fit({}, 10).empty());
  expect_error(ErrorCode::kInvalidArgument, "does not fit", [] {
    const std::vector<int32_t> one = {11};
    pack_best_fit(one, 10);
  });
}

TEST(RowStream, PromptsTakeRoomInRows) {
  const auto sets = two_sets();
  StreamOptions options = small();
  options.prompt_positions = 9;
  RowStream with(sets, options), without(sets, small());
  EXPECT_GT(with.rows_in_epoch(0), without.rows_in_epoch(0));
  size_t documents = 0;
  for (int64_t i = 0, rows = with.rows_in_epoch(0); i < rows; ++i) {
    const PackedRow row = with.next();
    documents += row.segments.size();
    EXPECT_LE(row.length() + 9 * std::ssize(row.segments), options.sequence_len);
  }
  EXPECT_EQ(documents, 70U);  // 50 and half of 40
  for (const PackedRow& row : pack_in_order(sets, options))
    EXPECT_LE(row.length() + 9 * std::ssize(row.segments), options.sequence_len);
  expect_error(ErrorCode::kInvalidArgument, "prompt_positions differs",
               [&] { with.restore(without.state()); });
}

TEST(Packing, RandomLengthsStayWithinCapacityAndWasteLittle) {
  Rng rng(5);
  std::vector<int32_t> lengths(2000);
  for (auto& length : lengths) length = static_cast<int32_t>(1 + rng.below(60));
  std::vector<int> used(lengths.size(), 0);
  const auto bins = pack_best_fit(lengths, 256);
  for (const auto& bin : bins) {
    int64_t total = 0;
    for (const int32_t item : bin) {
      total += lengths[static_cast<size_t>(item)];
      ++used[static_cast<size_t>(item)];
    }
    EXPECT_LE(total, 256);
  }
  EXPECT_EQ(std::count(used.begin(), used.end(), 1), 2000);
  const int64_t tokens = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  EXPECT_LE(static_cast<int64_t>(bins.size()), tokens / 256 + 2);
}

TEST(RowStream, RowsHoldWholeExamplesWithTheirBoundaries) {
  const auto sets = two_sets();
  RowStream stream(sets, small());
  for (int i = 0; i < 50; ++i) {
    const PackedRow row = stream.next();
    ASSERT_LE(row.length(), 64);
    int32_t at = 0;
    for (const Segment& segment : row.segments) {
      EXPECT_EQ(segment.start, at);
      const auto& example = sets[static_cast<size_t>(segment.dataset)]
                                .examples[static_cast<size_t>(segment.line - 1)];
      EXPECT_EQ(segment.length, example.length());
      EXPECT_EQ(row.ids[static_cast<size_t>(at)], example.ids[0]);
      EXPECT_EQ(row.labels[static_cast<size_t>(at)], kIgnoreLabel);
      for (int32_t token = 0; token <= segment.prompt; ++token) {
        const bool is_learned =
            row.labels[static_cast<size_t>(at) + static_cast<size_t>(token)] != kIgnoreLabel;
        EXPECT_EQ(is_learned, token == segment.prompt) << "the prompt ends where learning begins";
      }
      at += segment.length;
    }
    EXPECT_EQ(at, row.length());
    EXPECT_EQ(row.labelled(), static_cast<int64_t>(row.segments.size()));
  }
}

TEST(RowStream, WeightsSayHowOftenRecordsAreSeen) {
  const auto sets = two_sets();
  RowStream stream(sets, small());
  Seen first = run_epoch(stream);
  EXPECT_EQ(first.size(), 50u + 20u);
  for (const auto& [which, times] : first) EXPECT_EQ(times, 1);
  Seen second = run_epoch(stream);
  EXPECT_EQ(second.size(), 50u + 20u);
  // Weight 0.5: the second epoch brings the other half.
  for (const auto& [which, times] : second)
    EXPECT_TRUE(which.first == 0 || first.count(which) == 0);
  std::vector<EncodedDataset> twice;
  twice.push_back(dataset(10, 3.0, 5));
  RowStream three(twice, small());
  for (const auto& [which, times] : run_epoch(three)) EXPECT_EQ(times, 3);
}

TEST(RowStream, KnowsItsRowsAheadAndRepeatsThem) {
  const auto sets = two_sets();
  RowStream a(sets, small()), b(sets, small());
  const int64_t planned = a.rows_in_epochs(3.0);
  EXPECT_EQ(planned, a.rows_in_epoch(0) + a.rows_in_epoch(1) + a.rows_in_epoch(2));
  EXPECT_EQ(a.rows_in_epochs(0.5), (a.rows_in_epoch(0) + 1) / 2);
  int64_t rows = 0;
  for (; a.epoch() < 3; ++rows) ASSERT_TRUE(same(a.next(), b.next()));
  EXPECT_EQ(rows, planned);
  StreamOptions other = small();
  other.seed = 43;
  RowStream c(sets, other), d(sets, small());
  EXPECT_FALSE(same(c.next(), d.next()));
}

TEST(RowStream, GoesOnExactlyWhereItStopped) {
  const auto sets = two_sets();
  for (const int taken : {0, 1, 7, 30, 61}) {
    RowStream whole(sets, small());
    for (int i = 0; i < taken; ++i) whole.next();
    const Json state = Json::parse(whole.state().dump());
    RowStream resumed(sets, small());
    resumed.restore(state);
    EXPECT_EQ(resumed.epoch(), whole.epoch());
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(same(whole.next(), resumed.next())) << taken;
  }
}

TEST(RowStream, RefusesTheCursorOfOtherData) {
  const auto sets = two_sets();
  RowStream stream(sets, small());
  const Json state = stream.state();
  auto changed = two_sets();
  changed[0].examples[3].labels[0] = 5;
  RowStream other(changed, small());
  expect_error(ErrorCode::kInvalidArgument, "training data differ", [&] { other.restore(state); });
  changed = two_sets();
  changed[1].weight = 0.25;
  RowStream weighted(changed, small());
  expect_error(ErrorCode::kInvalidArgument, "differ", [&] { weighted.restore(state); });
  StreamOptions options = small();
  options.seed = 1;
  RowStream seeded(sets, options);
  expect_error(ErrorCode::kInvalidArgument, "seed differs", [&] { seeded.restore(state); });
  Json bad = state;
  bad["row"] = 100000;
  expect_error(ErrorCode::kCorruptData, "no row 100000", [&] { stream.restore(bad); });
  bad["row"] = "x";
  expect_error(ErrorCode::kCorruptData, "row", [&] { stream.restore(bad); });
  expect_error(ErrorCode::kCorruptData, "epoch", [&] { stream.restore(Json::array()); });
}

TEST(RowStream, WithoutPackingEachExampleIsARow) {
  const auto sets = two_sets();
  StreamOptions options = small();
  options.sample_packing = false;
  RowStream stream(sets, options);
  EXPECT_EQ(stream.rows_in_epoch(0), 70);
  EXPECT_EQ(stream.next().segments.size(), 1u);
}

TEST(RowStream, NothingToGiveIsAnError) {
  std::vector<EncodedDataset> none(1);
  expect_error(ErrorCode::kInvalidArgument, "per epoch", [&] { RowStream(none, small()); });
  std::vector<EncodedDataset> thin;
  thin.push_back(dataset(10, 0.01, 5));
  expect_error(ErrorCode::kInvalidArgument, "per epoch", [&] { RowStream(thin, small()); });
}

TEST(RowStream, ValidationRowsHoldEachExampleOnce) {
  const auto sets = two_sets();
  Seen seen;
  int32_t last = 0;
  for (const PackedRow& row : pack_in_order(sets, small())) {
    for (const Segment& segment : row.segments) {
      ++seen[{segment.dataset, segment.line}];
      EXPECT_GE(segment.dataset, last);
      last = segment.dataset;
    }
  }
  EXPECT_EQ(seen.size(), 90u);
  for (const auto& [which, times] : seen) EXPECT_EQ(times, 1);
}

}  // namespace
}  // namespace lmoe::data
