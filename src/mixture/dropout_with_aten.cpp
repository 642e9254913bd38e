#include <ATen/ATen.h>

#include "mixture/with_aten.h"
#include "nn/dispatch.h"

namespace lmoe::mixture::with_aten {
namespace {

// kernels/dropout.cpp in numbers of 32 bits, which ATen has no type for on every device: each is an
// int64 below 2^32.

constexpr int64_t kAllBits = 0xffffffff;

/// The product modulo 2^32; none on the way leaves int64.
at::Tensor times(const at::Tensor& a, int64_t factor) {
  const at::Tensor high = (a * (factor >> 16)).bitwise_and(0xffff);
  return (a * (factor & 0xffff) + high * (int64_t{1} << 16)).bitwise_and(kAllBits);
}

at::Tensor folded(const at::Tensor& h, int64_t shift) {
  return h.bitwise_xor(h.bitwise_right_shift(shift));
}

at::Tensor scrambled(const at::Tensor& h) {
  return folded(times(folded(times(folded(h, 16), 0x85ebca6b), 13), 0xc2b2ae35), 16);
}

}  // namespace

at::Tensor dropout_factors(const DropoutMask& mask,
                           const at::Tensor& rows,
                           int64_t width,
                           at::ScalarType dtype) {
  constexpr int64_t kSpread = 0x9e3779b1;
  const auto low = static_cast<int64_t>(mask.seed & kAllBits);
  const auto high = static_cast<int64_t>((mask.seed >> 32) + 0x9e3779b9);
  const at::Tensor key =
      scrambled(rows.bitwise_and(kAllBits).bitwise_xor(low))
          .bitwise_xor(scrambled((rows.bitwise_right_shift(32) + high).bitwise_and(kAllBits)));
  const at::Tensor column = times(at::arange(width, rows.options()), kSpread);
  const at::Tensor draw = scrambled((key.unsqueeze(/*dim=*/1) + column).bitwise_and(kAllBits));
  const auto threshold = static_cast<int64_t>(static_cast<uint32_t>(mask.rate * 0x1.0p32));
  return draw.ge(threshold).to(dtype) * (1.0 / (1.0 - mask.rate));
}

at::Tensor drop(const at::Tensor& x, const DropoutMask& mask) {
  const int64_t width = x.size(-1), rows = x.numel() / width;
  const at::Tensor factors =
      dropout_factors(mask, at::arange(rows, at::TensorOptions(at::kLong).device(x.device())),
                      width, nn::accumulate_dtype(x.scalar_type()));
  return (x.to(factors.scalar_type()) * factors.view(x.sizes())).to(x.scalar_type());
}

}  // namespace lmoe::mixture::with_aten
