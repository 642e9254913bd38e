#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "mixture/expert_bank.h"
#include "mixture/initial.h"

namespace lmoe::mixture {
namespace {

int64_t ceil_divide(int64_t value, int64_t by) { return (value + by - 1) / by; }

/// Expert i of projection p is (B[:h] A[:, :w]) ⊗ K_i, cropped to [out, in], where h and w are out
/// and in divided by the side s of K_i, rounded up. With x cut into w rows of s:
///
///   y = B[:h] (A[:, :w] X) K_i^T, read row by row
///
/// so that experts with equal sides share both large products and no W_i is ever made.
class KroneckerBank : public ExpertBank {
 public:
  KroneckerBank(const spec::MixtureSpec& spec,
                std::vector<BankTarget> given,
                const BankShape& shape,
                Rng& rng)
      : ExpertBank(spec, std::move(given), shape), sizes_(spec.experts.kernel_sizes) {
    const int64_t rank = spec.experts.rank;
    const int64_t least = *std::min_element(sizes_.begin(), sizes_.end());
    int64_t numbers = 0;
    for (size_t i = 0; i < sizes_.size(); ++i) {
      same_size_[sizes_[i]].push_back(static_cast<int64_t>(i));
      first_.push_back(numbers);
      numbers += sizes_[i] * sizes_[i];
    }
    for (const BankTarget& target : targets()) {
      const int64_t width = ceil_divide(in(), least);
      Meta meta = {zero_parameter({rank, width}, shape.options),
                   zero_parameter({ceil_divide(target.out, least), rank}, shape.options),
                   zero_parameter({numbers}, shape.options)};
      fill_normal(meta.a.detach(), 1.0 / std::sqrt(static_cast<double>(width)), rng);
      fill_normal(meta.b.detach(), 1.0 / std::sqrt(static_cast<double>(rank)), rng);
      metas_.push_back(std::move(meta));
    }
  }

  std::vector<at::Tensor> project(const BankInput& input,
                                  const std::vector<at::Tensor>& outputs) const override {
    std::vector<at::Tensor> adapted = outputs;
    for (const auto& [size, experts] : same_size_) {
      const at::Tensor rows = cut(input.x, size);
      for (size_t p = 0; p < outputs.size(); ++p) {
        const int64_t gate =
            input.weights.defined() && input.weights.size(1) > 1 ? static_cast<int64_t>(p) : 0;
        const at::Tensor weights =
            input.weights.defined()
                ? input.weights.select(/*dim=*/1, gate)
                : at::ones({input.x.size(0), static_cast<int64_t>(sizes_.size())},
                           input.x.options());
        adapted[p] = adapted[p] + delta(rows, size, experts, weights, p);
      }
    }
    return adapted;
  }

  ExpertFactors folder_factors(size_t /*target*/, int64_t /*folder*/) const override { return {}; }

  std::vector<nn::NamedTensor> parameters() const override { return other_tensors(); }

  std::vector<nn::NamedTensor> other_tensors() const override {
    std::vector<nn::NamedTensor> all;
    for (size_t p = 0; p < targets().size(); ++p) {
      all.push_back({targets()[p].site + ".meta_A", metas_[p].a});
      all.push_back({targets()[p].site + ".meta_B", metas_[p].b});
      all.push_back({targets()[p].site + ".kernels", metas_[p].kernels});
    }
    return all;
  }

 private:
  /// Of one projection: A [R, ceil(in / least side)], B [ceil(out / least side), R], kernels one
  /// after another, row by row.
  struct Meta {
    at::Tensor a, b, kernels;
  };

  /// x, padded with zeros, as [N, s, w]: column j holds the j-th piece of s numbers.
  at::Tensor cut(const at::Tensor& x, int64_t size) const {
    const int64_t pieces = ceil_divide(in(), size);
    const at::Tensor padded = at::constant_pad_nd(x, {0, pieces * size - in()});
    return padded.view({x.size(0), pieces, size}).transpose(1, 2).contiguous();
  }

  /// sum_i w_i W_i x over the experts of one kernel size [N, out].
  at::Tensor delta(const at::Tensor& rows,
                   int64_t size,
                   const std::vector<int64_t>& experts,
                   const at::Tensor& weights,
                   size_t p) const {
    const Meta& meta = metas_[p];
    const at::ScalarType dtype = rows.scalar_type();
    const int64_t tokens = rows.size(0), rank = meta.a.size(0), out = targets()[p].out;
    const at::Tensor a = meta.a.to(dtype).narrow(/*dim=*/1, 0, rows.size(2));
    const at::Tensor b = meta.b.to(dtype).narrow(/*dim=*/0, 0, ceil_divide(out, size));
    const at::Tensor middle = at::linear(rows, a);  // [N, s, R]
    std::vector<at::Tensor> kernels;
    for (const int64_t i : experts)
      kernels.push_back(meta.kernels.narrow(/*dim=*/0, first_[static_cast<size_t>(i)], size * size)
                            .view({size, size}));
    const at::Tensor all = at::cat(kernels).to(dtype);  // [E * s, s]
    const auto count = static_cast<int64_t>(experts.size());
    const at::Tensor each = at::matmul(all, middle).view({tokens, count, size, rank});
    const at::Tensor own = at::tensor(experts, at::kLong).to(weights.device());
    const at::Tensor chosen = weights.index_select(/*dim=*/1, own) * scaling();
    const at::Tensor mixed =
        (each * chosen.to(dtype).view({tokens, count, 1, 1})).sum(/*dim=*/1);  // [N, s, R]
    return at::linear(mixed, b).transpose(1, 2).reshape({tokens, -1}).narrow(/*dim=*/1, 0, out);
  }

  std::vector<int64_t> sizes_;
  std::vector<int64_t> first_;  ///< where the kernel of an expert begins
  std::map<int64_t, std::vector<int64_t>> same_size_;
  std::vector<Meta> metas_;
};

}  // namespace

std::unique_ptr<ExpertBank> make_kronecker_bank(const spec::MixtureSpec& spec,
                                                std::vector<BankTarget> targets,
                                                const BankShape& shape,
                                                Rng& rng) {
  return std::make_unique<KroneckerBank>(spec, std::move(targets), shape, rng);
}

}  // namespace lmoe::mixture
