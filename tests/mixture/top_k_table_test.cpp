// The table by which top-k products choose their form: what it says, refuses, and that mixtures do
// as it says.
#include "mixture/top_k_table.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "mixture/site_bank.h"
#include "mixture/tune_top_k.h"
#include "spec/method_info.h"
#include "support/temp_folder.h"
#include "tiny_model.h"

namespace lmoe::mixture {
namespace {

constexpr const char* kText =
    "# a comment\n"
    "\n"
    "float32 1 8 576 1536 2048 6  # another\n"
    "float32 4 8 576 1536 2048 32\n"
    "float32 1 8 576 1536 64 never\n"
    "bfloat16 1 8 576 1536 2048 24\n";

std::string message_of(const std::string& text) {
  try {
    const TopKTable table(text, "my/table.txt");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorruptData);
    return error.what();
  }
  return "no error";
}

TEST(TopKTable, SaysWhatTheNearestShapeSays) {
  const TopKTable table(kText, "table");
  const TopKShape shape = {at::kFloat, 1, 8, 576, 1536, 2048};
  EXPECT_EQ(table.least_experts(shape), 6);
  EXPECT_EQ(table.least_experts({at::kFloat, 1, 4, 2048, 2048, 1500}), 6);
  EXPECT_EQ(table.least_experts({at::kFloat, 3, 8, 576, 1536, 2048}), 32);
  EXPECT_EQ(table.least_experts({at::kFloat, 1, 8, 576, 1536, 1}), std::nullopt);
  EXPECT_EQ(table.least_experts({at::kBFloat16, 1, 8, 576, 1536, 64}), 24);
  EXPECT_EQ(table.least_experts({at::kDouble, 1, 8, 576, 1536, 2048}), 6) << "the first of all";
  EXPECT_TRUE(table.chooses_selected(6, shape));
  EXPECT_FALSE(table.chooses_selected(5, shape));
  EXPECT_FALSE(table.chooses_selected(1, shape)) << "all of them";
  EXPECT_FALSE(table.chooses_selected(1000, {at::kFloat, 1, 8, 576, 1536, 64})) << "never";
}

TEST(TopKTable, ReadsWhatItWrites) {
  const TopKTable table(kText, "table");
  const std::string written = top_k_table_text({"measured", "today"}, table.lines());
  EXPECT_TRUE(written.starts_with("# measured\n# today\n#\n# type k rank in out rows experts\n"));
  const TopKTable again(written, "again");
  EXPECT_EQ(again.text(), written);
  ASSERT_EQ(again.lines().size(), table.lines().size());
  for (size_t i = 0; i < table.lines().size(); ++i) {
    EXPECT_EQ(again.lines()[i].shape, table.lines()[i].shape);
    EXPECT_EQ(again.lines()[i].experts, table.lines()[i].experts);
  }
}

TEST(TopKTable, RefusesWhatItCannotUseWithFileAndLine) {
  for (const std::string line :
       {"float32 2 8 576 1536 2048", "float32 2 8 576 1536 2048 16 1", "float16 2 8 576 1536 1 16",
        "float32 0 8 576 1536 2048 16", "float32 -2 8 576 1536 2048 16", "float32 2 8 576 1e3 1 16",
        "float32 2 8 576 1536 2048 often", "float32 2 8 99999999999999999999 1536 2048 16"}) {
    EXPECT_THAT(message_of("# type\n" + line + "\n"),
                ::testing::StartsWith("[top-k table] my/table.txt:2: given \"" + line + "\""));
  }
  EXPECT_EQ(message_of("float32 2 8 576 1536 2048 2\n"),
            "[top-k table] my/table.txt:1: given 2 experts, expected more than the 2 that are "
            "chosen");
  EXPECT_EQ(message_of(std::string(kText) + "float32 4 8 576 1536 2048 never\n"),
            "[top-k table] my/table.txt:7: the shape float32 4 8 576 1536 2048 comes twice");
  EXPECT_EQ(message_of("# nothing\n"),
            "[top-k table] my/table.txt: no line, expected type k rank in out rows experts");
}

TEST(TopKTable, ThatComesWithTheProgramHasTheShapesThatAreMeasured) {
  std::vector<TopKShape> shapes;
  for (const TopKTable::Line& line : built_in_top_k_table().lines()) shapes.push_back(line.shape);
  EXPECT_EQ(shapes, tuned_top_k_shapes(/*with_bf16=*/true));
  EXPECT_EQ(built_in_top_k_table().text(),
            read_file(fs::path(LMOE_SOURCE_DIR) / "src/mixture/top_k_table.txt"));
}

/// A folder that holds the user's own table for as long as the test runs.
class OwnTopKTable : public ::testing::Test {
 protected:
  void SetUp() override {
    ::setenv("XDG_CONFIG_HOME", folder_.path().c_str(), 1);
    use_top_k_table(nullptr);
  }
  void TearDown() override {
    ::unsetenv("XDG_CONFIG_HOME");
    use_top_k_table(nullptr);
  }
  void write(const std::string& text) {
    fs::create_directories(own_top_k_table_path().parent_path());
    write_file_atomically(own_top_k_table_path(), text);
  }
  test::TempFolder folder_;
};

TEST_F(OwnTopKTable, StandsInForTheOneOfTheProgram) {
  EXPECT_EQ(own_top_k_table_path(), folder_.path() / "lmoe" / "top_k_table.txt");
  EXPECT_EQ(top_k_table()->text(), built_in_top_k_table().text());
  use_top_k_table(nullptr);
  write(kText);
  EXPECT_EQ(top_k_table()->text(), kText);
}

TEST_F(OwnTopKTable, IsNamedWhenItIsMalformed) {
  write("float32 many\n");
  try {
    top_k_table();
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr(own_top_k_table_path().string() + ":1: "));
  }
}

struct Learned {
  at::Tensor output;
  std::vector<at::Tensor> gradients;
};

/// Of five experts, two of which take part, by the table that is in force.
Learned learn(int64_t rows) {
  spec::MixtureSpec spec = spec::find_method("l-moe").preset();
  spec.experts.count = 5;
  spec.experts.rank = 2;
  spec.select = {spec::SelectKind::kTopK, 2};
  spec.normalize = spec::Normalize::kRenormalize;
  EXPECT_TRUE(may_select_few(spec));
  const test::TinyModel model(/*layers=*/1);
  Mixture mixture(spec, model.sockets(), /*seed=*/1, at::kDouble);
  test::randomize(mixture, 2);
  mixture.plug(model.sockets());
  nn::ForwardContext context;
  context.segments = {{.start = 0, .length = rows}};
  Learned learned;
  const at::Tensor output =
      model.forward(test::numbers({rows, test::kHidden}, 3, at::kDouble), context);
  output.sin().sum().backward();
  learned.output = output.detach();
  for (const nn::NamedTensor& parameter : mixture.parameters())
    learned.gradients.push_back(parameter.tensor.grad());
  return learned;
}

bool same_bits(const Learned& a, const Learned& b) {
  bool same = at::equal(a.output, b.output);
  for (size_t i = 0; i < a.gradients.size(); ++i)
    same = same && at::equal(a.gradients[i], b.gradients[i]);
  return same;
}

void use(const std::string& text) {
  use_top_k_table(std::make_shared<const TopKTable>(text, "given"));
}

TEST_F(OwnTopKTable, DecidesHowMixturesComputeAndNothingElse) {
  const std::string shape = "float32 2 2 6 5 ";
  const auto learned = [&](const std::string& lines, int64_t rows) {
    use(lines);
    return learn(rows);
  };
  for (const int64_t rows : {9, 70}) {
    const Learned dense = learned(shape + "16 never\n", rows),
                  few = learned(shape + "16 3\n", rows);
    EXPECT_FALSE(same_bits(dense, few)) << "the two forms add up in another order";
    EXPECT_TRUE(at::allclose(dense.output, few.output, 1e-12, 1e-13));
    for (size_t i = 0; i < few.gradients.size(); ++i)
      EXPECT_TRUE(at::allclose(dense.gradients[i], few.gradients[i], 1e-9, 1e-12)) << i;
    EXPECT_TRUE(same_bits(few, learned(shape + "16 5\n", rows))) << "five are enough";
    EXPECT_TRUE(same_bits(dense, learned(shape + "16 6\n", rows))) << "five are too few";
    const Learned by_rows = learned(concat(shape, "8 never\n", shape, "64 3\n"), rows);
    EXPECT_TRUE(same_bits(by_rows, rows == 9 ? dense : few)) << "by the rows of the forward";
  }
}

TEST_F(OwnTopKTable, StaysWhatItWasWhenAMixtureWasMade) {
  use("float32 2 2 6 5 16 never\n");
  const Learned dense = learn(9);
  use("float32 2 2 6 5 16 3\n");
  const Learned few = learn(9);
  EXPECT_TRUE(same_bits(few, learn(9))) << "repeated";
  use("float32 2 2 6 5 16 never\n");
  EXPECT_TRUE(same_bits(dense, learn(9)));
}

TEST(Crossover, IsTheFirstNumberOfExpertsForWhichTheDenseFormIsSlower) {
  const TopKShape shape = {at::kFloat, 2, 8, 576, 1536, 2048};
  for (const auto& [truth, found] : {std::pair<double, std::optional<int64_t>>{0.5, 3},
                                     {3.5, 4},
                                     {11.0, 12},
                                     {100.0, 128},
                                     {500.0, std::nullopt}}) {
    const double slower_above = truth;
    const TopKCrossover crossover = find_crossover(shape, [&](int64_t experts) {
      EXPECT_GT(experts, shape.k);
      return TopKTimes{static_cast<double>(experts), slower_above};
    });
    EXPECT_EQ(crossover.experts, found);
    EXPECT_LE(crossover.measured.size(), 4U);
  }
}

TEST(Crossover, TimesBothForms) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const TopKTimes times = measure_top_k({type, 2, 2, 6, 5, 16}, /*experts=*/4);
    EXPECT_GT(times.dense, 0.0);
    EXPECT_GT(times.selected, 0.0);
  }
}

}  // namespace
}  // namespace lmoe::mixture
