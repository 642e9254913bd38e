// What the tests of every method share: a variant, and how it is asked for what it promises.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "mixture/site_bank.h"
#include "mixture/top_k_table.h"
#include "sections.h"
#include "tiny_model.h"

namespace lmoe::test {

struct Variant {
  const char* name;
  const char* section;  ///< YAML of the `mixture:` section; small sizes come with it
};

inline std::string variant_name(const ::testing::TestParamInfo<Variant>& info) {
  return info.param.name;
}

/// While it lives, mixtures are made to go by this table of top-k products.
class UsedTopKTable {
 public:
  explicit UsedTopKTable(const std::string& text) {
    mixture::use_top_k_table(std::make_shared<const mixture::TopKTable>(text, "given"));
  }
  ~UsedTopKTable() { mixture::use_top_k_table(nullptr); }
  UsedTopKTable(const UsedTopKTable&) = delete;
  UsedTopKTable& operator=(const UsedTopKTable&) = delete;
};

class Conformance : public ::testing::TestWithParam<Variant> {
 protected:
  Conformance() : spec_(read_section(GetParam().section)) {}

  static constexpr int64_t kTokens = 7;
  static constexpr int kLayers = 2;

  /// By the first of them mixtures with a choice compute the chosen experts alone, by the second
  /// all of them; to others tables make no difference.
  std::vector<std::string> top_k_tables() const {
    const std::string shape = "float32 1 2 6 5 16 ";
    if (!mixture::may_select_few(spec_)) return {shape + "never\n"};
    return {shape + "2\n", shape + "never\n"};
  }

  /// The gate learns from draws, not through the weights.
  bool is_gate_without_gradient(const std::string& parameter) const {
    return spec_.select.kind == spec::SelectKind::kSample &&
           parameter.find(".gate.") != std::string::npos;
  }

  /// It chooses experts whose weights are all the same.
  bool is_gate_without_say(const std::string& parameter) const {
    return spec_.normalize == spec::Normalize::kConstant &&
           parameter.find(".gate.") != std::string::npos;
  }

  /// What `normalize` promises of each token's weights.
  void check_sums(const nn::GateRecord& record) const {
    const double k = static_cast<double>(spec_.select.k.value_or(record.weights.size(1)));
    const bool is_sparse = spec_.select.kind != spec::SelectKind::kAll;
    const auto expect_sum = [&](double sum) {
      EXPECT_LT(max_difference(record.weights.sum(1), at::full({kTokens}, sum, at::kDouble)),
                1e-13);
    };
    switch (spec_.normalize) {
      case spec::Normalize::kSoftmax:
        if (is_sparse)
          EXPECT_TRUE(at::equal(record.weights, record.probabilities * record.selected));
        else
          expect_sum(1);
        break;
      case spec::Normalize::kSoftmaxSelected:
      case spec::Normalize::kSoftmaxTwice:
      case spec::Normalize::kRenormalize:
        expect_sum(1);
        break;
      case spec::Normalize::kSumToK:
      case spec::Normalize::kConstant:
        expect_sum(k);
        break;
      case spec::Normalize::kLogits:
        break;
      case spec::Normalize::kBounded:
        EXPECT_GE(record.weights.min().item<double>(), 0.8);  // where tanh rounds to 1
        EXPECT_LE(record.weights.max().item<double>(), 1.2);
        break;
      case spec::Normalize::kSigmoid:
        EXPECT_LE(record.weights.max().item<double>(), 1.0);
        break;
    }
  }

  /// A fresh mixture adds nothing, except where weights that do not sum to 1 scale whole FFNs.
  bool fresh_is_identity() const {
    return spec_.attach != spec::Attach::kFfnBlock || spec_.select.kind == spec::SelectKind::kAll ||
           spec_.normalize == spec::Normalize::kRenormalize ||
           spec_.normalize == spec::Normalize::kSoftmaxSelected;
  }

  void expect_the_naive_reference() const;
  void expect_central_differences() const;
  void expect_double_where_rounded_to(at::ScalarType dtype) const;

  spec::MixtureSpec spec_;
};

}  // namespace lmoe::test
