// Products of whole activations with a weight, by the faster of the libraries that LibTorch
// carries.
//
//   y = product(x, weight);               // x Wᵀ
//   dx = product_back(dy, weight);        // dy W
//   dx = product_back(dy, weight, dx);    // dx + dy W
//
// Measured on an AVX-512 EPYC with 2 threads, float32, GFLOP/s, `at::mm` (MKL) / oneDNN:
//   2048 x 576 -> 1536   200 / 217     2048 x 1536 -> 576   205 / 219     dx of the same   203 /
//   222
//     64 x 576 -> 1536   143 / 190      256 x 576 -> 1536   190 / 214     512 x 576 -> 49152   136
//     / 175
// One row takes 9.5 / 4.0 ms at 576 -> 49152 and 70 / 42 us at 576 -> 1536, but 9 / 18 us at 576 ->
// 192. With oneDNN held to AVX2 they differ by less than 5 %, the shortest apart (139 / 175).
// Sums in place over a narrow inner size are no faster there and stay with ATen; products over the
// rows are in nn/product_over_rows.h.
#pragma once

#include <ATen/core/Tensor.h>

namespace lmoe::nn {

/// x [N, in], weight [out, in], bias [out] or undefined -> [N, out].
at::Tensor product(const at::Tensor& x,
                   const at::Tensor& weight,
                   const at::Tensor& bias = at::Tensor());

/// dy [N, out], weight [out, in], sum [N, in] or undefined -> sum + dy W, [N, in]; `sum` may be
/// written over, and then is the result.
at::Tensor product_back(const at::Tensor& dy,
                        const at::Tensor& weight,
                        const at::Tensor& sum = at::Tensor());

}  // namespace lmoe::nn
