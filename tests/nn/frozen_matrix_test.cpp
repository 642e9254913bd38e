// Matrices that are kept small against the same expanded at once.
#include "nn/frozen_matrix.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <limits>

#include "base/error.h"
#include "nn/linear.h"
#include "nn/loss.h"
#include "nn/panel_product.h"
#include "nn/projection.h"
#include "support/gradient_check.h"
#include "support/random_tensor.h"

namespace lmoe::nn {
namespace {

using test::random_tensor;
using ::testing::HasSubstr;

at::Tensor values_of(const io::StoredTensor& stored, at::ScalarType dtype = at::kFloat) {
  at::Tensor values = at::empty(stored.shape, at::kFloat);
  io::to_float32(stored.view(), {values.data_ptr<float>(), static_cast<size_t>(values.numel())});
  return values.to(dtype);
}

class StoredMatrix : public ::testing::TestWithParam<io::DType> {
 protected:
  io::StoredTensor stored_ = random_tensor("w", GetParam(), {70, 512}, 3);
};

INSTANTIATE_TEST_SUITE_P(Types,
                         StoredMatrix,
                         ::testing::ValuesIn(test::small_types()),
                         [](const auto& type) { return io::dtype_name(type.param); });

TEST_P(StoredMatrix, ExpandsToWhatTheFileHas) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kDouble}) {
    const at::Tensor dense = values_of(stored_, dtype);
    const FrozenMatrix matrix(stored_, dtype);
    EXPECT_FALSE(matrix.is_dense());
    EXPECT_EQ(matrix.dtype(), dtype);
    EXPECT_EQ(matrix.bytes(), static_cast<int64_t>(stored_.bytes.size()));
    EXPECT_TRUE(at::equal(matrix.expand(), dense));
    EXPECT_TRUE(at::equal(matrix.borrow(), dense));
    for (const auto& [first, rows] : {std::pair{0, 1}, {69, 1}, {13, 50}, {0, 70}})
      EXPECT_TRUE(at::equal(matrix.borrow(first, rows), dense.narrow(0, first, rows)));
    const at::Tensor ids = at::tensor({69, 0, 3, 3, 68}, at::kLong);
    EXPECT_TRUE(at::equal(matrix.gather(ids), dense.index_select(0, ids)));
  }
}

TEST_P(StoredMatrix, MultipliesLikeADenseOneBitForBit) {
  at::manual_seed(1);
  const at::Tensor dense = values_of(stored_), bias = at::randn({70});
  const FrozenMatrix matrix(stored_, at::kFloat);
  for (const int64_t rows : {1, 5, 300}) {
    const at::Tensor x = at::randn({rows, 512}), dy = at::randn({rows, 70});
    std::vector<at::Tensor> all;
    for (const FrozenMatrix& weight : {FrozenMatrix(dense), matrix}) {
      const at::Tensor input = x.clone().set_requires_grad(true);
      // Two of them: the second must not find the first one's values.
      const std::vector<FrozenLinear> linears = {{"a", "a", weight, bias}, {"b", "b", weight, {}}};
      const std::vector<at::Tensor> y = frozen_linears(input, linears);
      ((y[0] + 2 * y[1]) * dy).sum().backward();
      all.insert(all.end(), {y[0].detach(), y[1].detach(), input.grad()});
    }
    for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(at::equal(all[i], all[i + 3])) << i;
  }
}

TEST(FrozenMatrix, DenseOnesAreTheTensorItself) {
  const at::Tensor tensor = at::randn({6, 4});
  const FrozenMatrix matrix(tensor), other(tensor.clone());
  const std::vector<FrozenMatrix> copies = {matrix};
  EXPECT_TRUE(matrix.expand().is_same(tensor));
  EXPECT_TRUE(matrix.borrow().is_same(tensor));
  EXPECT_EQ(matrix.borrow(2, 3).data_ptr(), tensor[2].data_ptr());
  EXPECT_TRUE(matrix.is_same(copies[0]));
  EXPECT_FALSE(matrix.is_same(other));
  const FrozenMatrix stored(random_tensor("w", io::DType::kQ8_0, {2, 32}, 1), at::kFloat);
  EXPECT_TRUE(stored.is_same(std::vector<FrozenMatrix>{stored}[0]));
  EXPECT_FALSE(stored.is_same(matrix));
}

std::string message_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(FrozenMatrix, RoundsAllRows) {
  const io::StoredTensor wide = random_tensor("w", io::DType::kF32, {90, 64}, 2);
  for (const io::DType dtype : {io::DType::kBF16, io::DType::kQ8_0, io::DType::kQ4_1}) {
    const io::StoredTensor rounded = rounded_to(dtype, wide);
    EXPECT_EQ(rounded.dtype, dtype);
    const double coarse = dtype == io::DType::kQ4_1 ? 0.2 / 30 : 0.1 / 127;
    EXPECT_LT((values_of(rounded) - values_of(wide)).abs().max().item<double>(), 1.01 * coarse);
    EXPECT_GT((values_of(rounded) - values_of(wide)).abs().max().item<double>(), 0.0);
  }
}

TEST(FrozenMatrix, RefusesRowsThatAreNoWholeBlocks) {
  const io::StoredTensor odd = random_tensor("blk.0.attn_q", io::DType::kF32, {8, 48}, 2);
  for (const io::DType dtype : {io::DType::kQ8_0, io::DType::kQ4_1})
    EXPECT_THAT(message_of([&] { rounded_to(dtype, odd); }),
                ::testing::AllOf(HasSubstr("blk.0.attn_q [8, 48] cannot be kept as Q"),
                                 HasSubstr("hint: frozen_weights=bf16")));
  EXPECT_EQ(message_of([&] { rounded_to(io::DType::kBF16, odd); }), "no error");
}

TEST(FrozenMatrix, RefusesToRoundWhatIsNotFinite) {
  io::StoredTensor broken = random_tensor("w", io::DType::kF32, {40, 64}, 2);
  const float bad = std::numeric_limits<float>::infinity();
  std::memcpy(broken.bytes.data() + 4 * (39 * 64 + 5), &bad, sizeof(bad));
  EXPECT_THAT(message_of([&] { rounded_to(io::DType::kQ8_0, broken); }),
              HasSubstr("tensor w has weights that Q8_0 cannot hold"));
}

/// Several panels, the last one of another size.
constexpr int64_t kWidth = 256, kVocabulary = 20001;

TEST(Panels, CoverAllRowsEvenly) {
  for (const int64_t rows : {1, 63, 8192, 8193, 20001, 49152, 151936}) {
    const int64_t panel = panel_rows(rows, 576), panels = (rows + panel - 1) / panel;
    EXPECT_EQ(panel % 64, 0);
    EXPECT_LE(panel * 576, kPanelElements);
    EXPECT_GE(panels * panel, rows);
    EXPECT_LT(panels * panel - rows, panels * 64);
  }
  EXPECT_EQ(panel_rows(256000, 8192), kLeastPanelRows);
}

TEST(Panels, GiveTheSameLossAndGradientStoredOrDenseBitForBit) {
  at::manual_seed(4);
  const at::Tensor hidden = at::randn({90, kWidth});
  ASSERT_LT(panel_rows(kVocabulary, kWidth), kVocabulary);
  const at::Tensor labels = at::randint(kVocabulary, {90}, at::kLong);
  labels.narrow(0, 10, 20).fill_(kIgnoreLabel);
  for (const io::DType dtype : {io::DType::kQ4_1, io::DType::kQ6_K, io::DType::kBF16}) {
    const io::StoredTensor stored = random_tensor("w", dtype, {kVocabulary, kWidth}, 9);
    for (const at::ScalarType computed : {at::kFloat, at::kBFloat16}) {
      std::vector<at::Tensor> all;
      for (const FrozenMatrix& head :
           {FrozenMatrix(values_of(stored, computed)), FrozenMatrix(stored, computed)}) {
        const at::Tensor input = hidden.clone().to(computed).set_requires_grad(true);
        const at::Tensor loss = labelled_cross_entropy_sum(input, labels, head, 7.0, 32);
        loss.backward();
        all.insert(all.end(), {loss.detach(), input.grad()});
      }
      EXPECT_TRUE(at::equal(all[0], all[2])) << io::dtype_name(dtype) << " in " << computed;
      EXPECT_TRUE(at::equal(all[1], all[3])) << io::dtype_name(dtype) << " in " << computed;
    }
  }
}

TEST(Panels, EqualTheWholeProduct) {
  at::manual_seed(5);
  const io::StoredTensor stored = random_tensor("w", io::DType::kQ8_0, {kVocabulary, kWidth}, 9);
  for (const auto& [dtype, allowed] :
       {std::pair{at::kFloat, 1e-5}, {at::kDouble, 1e-13}, {at::kBFloat16, 1e-2}}) {
    const at::Tensor x = at::randn({7, kWidth}).to(dtype);
    const at::Tensor dense = values_of(stored, dtype).to(at::kDouble);
    for (const FrozenMatrix& weight :
         {FrozenMatrix(values_of(stored, dtype)), FrozenMatrix(stored, dtype)}) {
      const at::Tensor y = at::empty({7, kVocabulary}, dtype);
      product_in_panels(x, weight, y);
      EXPECT_LT(test::relative_error(y, at::mm(x.to(at::kDouble), dense.t())), allowed);
    }
  }
}

}  // namespace
}  // namespace lmoe::nn
