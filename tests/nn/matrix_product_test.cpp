// Products by whichever library: what at::mm gives, in every form that training asks for.
#include "nn/matrix_product.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <string_view>

namespace lmoe::nn {
namespace {

struct Shape {
  int64_t rows, in, out;
};

// On both sides of the size from which oneDNN is asked, odd sizes and a single row among them.
const Shape kShapes[] = {{1, 3, 2}, {1, 640, 4096}, {37, 129, 257}, {301, 64, 577}, {512, 96, 40}};

void expect_close(const at::Tensor& ours, const at::Tensor& exact, double tolerance) {
  ASSERT_EQ(ours.sizes(), exact.sizes());
  const double largest = exact.abs().max().item<double>();
  EXPECT_LT((ours.to(at::kDouble) - exact).abs().max().item<double>(), tolerance * largest);
}

void check(at::ScalarType dtype, double tolerance) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(testing::Message() << shape.rows << " x " << shape.in << " -> " << shape.out);
    const at::Tensor x = at::randn({shape.rows, shape.in}).to(dtype),
                     weight = at::randn({shape.out, shape.in}).to(dtype),
                     bias = at::randn({shape.out}).to(dtype),
                     dy = at::randn({shape.rows, shape.out}).to(dtype),
                     sum = at::randn({shape.rows, shape.in}).to(dtype);
    const auto wide = [](const at::Tensor& tensor) { return tensor.to(at::kDouble); };
    const at::Tensor y = at::mm(wide(x), wide(weight).t()), dx = at::mm(wide(dy), wide(weight));
    expect_close(product(x, weight), y, tolerance);
    expect_close(product(x, weight, bias), y + wide(bias), tolerance);
    expect_close(product_back(dy, weight), dx, tolerance);
    const at::Tensor with_sum = wide(sum) + dx;
    expect_close(product_back(dy, weight, sum.clone()), with_sum, tolerance);
    expect_close(product_back(dy.t().contiguous().t(), weight), dx, tolerance);
    // Rows that lie apart, and columns of a wider weight.
    const at::Tensor apart = at::cat({x, x}, 1).narrow(1, 0, shape.in);
    expect_close(product(apart, weight), y, tolerance);
    const at::Tensor wider = at::cat({weight, weight}, 1).narrow(1, shape.in, shape.in);
    expect_close(product(x, wider), y, tolerance);
    expect_close(product_back(dy, wider), dx, tolerance);
  }
}

TEST(MatrixProduct, GivesTheExactProduct) {
  at::manual_seed(3);
  const c10::NoGradGuard no_grad;
  check(at::kFloat, 1e-5);
  check(at::kDouble, 1e-13);
  check(at::kBFloat16, 2e-2);
}

int calls_of_onednn = 0;

/// How often oneDNN is asked by `work`.
template <class Work>
int counted(const Work& work) {
  calls_of_onednn = 0;
  const auto handle = at::addThreadLocalCallback(at::RecordFunctionCallback(
      [](const at::RecordFunction& function) -> std::unique_ptr<at::ObserverContext> {
        if (std::string_view(function.name()) == "mkldnn::_linear_pointwise") ++calls_of_onednn;
        return nullptr;
      }));
  work();
  at::removeCallback(handle);
  return calls_of_onednn;
}

TEST(MatrixProduct, AsksOneDnnForLargeFloatsWithoutGradient) {
  const at::Tensor x = at::randn({301, 577}), weight = at::randn({1536, 577}),
                   dy = at::randn({301, 1536});
  const int once = at::hasMKLDNN() ? 1 : 0;
  {
    const c10::NoGradGuard no_grad;
    EXPECT_EQ(counted([&] { product(x, weight); }), once);
    EXPECT_EQ(counted([&] { product_back(dy, weight); }), once);
    EXPECT_EQ(counted([&] { product_back(dy, weight, at::zeros_like(x)); }), once);
    EXPECT_EQ(counted([&] { product(x.to(at::kDouble), weight.to(at::kDouble)); }), 0);
    EXPECT_EQ(counted([&] { product(x.narrow(0, 0, 1), weight.narrow(0, 0, 8)); }), 0);
  }
  const at::Tensor learns = x.clone().requires_grad_(true);
  EXPECT_EQ(counted([&] { product(learns, weight); }), 0);
}

TEST(MatrixProduct, IsTheSameEveryTime) {
  const c10::NoGradGuard no_grad;
  const at::Tensor x = at::randn({301, 577}), weight = at::randn({1536, 577});
  const at::Tensor first = product(x, weight), back = product_back(first, weight);
  for (int time = 0; time < 3; ++time) {
    EXPECT_TRUE(at::equal(product(x, weight), first));
    EXPECT_TRUE(at::equal(product_back(first, weight), back));
  }
}

TEST(MatrixProduct, HasAGradientWhereOneIsWanted) {
  const at::Tensor x = at::randn({301, 577}).requires_grad_(true), weight = at::randn({1536, 577});
  const at::Tensor y = product(x, weight), dy = at::randn_like(y);
  y.backward(dy);
  const c10::NoGradGuard no_grad;
  expect_close(x.grad(), at::mm(dy, weight).to(at::kDouble), 1e-5);
}

}  // namespace
}  // namespace lmoe::nn
