// First values of trained tensors, drawn from our own generator so that a seed means the same run
// on every machine.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "base/rng.h"
#include "spec/mixture_spec.h"

namespace lmoe::mixture {

/// Leaf tensors that require grad.
/// [rows, width], by `gate.init`.
at::Tensor gate_parameter(
    int64_t rows, int64_t width, const spec::GateSpec&, const at::TensorOptions&, Rng&);
at::Tensor zero_parameter(const std::vector<int64_t>& shape, const at::TensorOptions&);

/// Fill a contiguous float or double tensor in place, row by row, with the same numbers on every
/// device: uniform in ±bound, or normal.
void fill_uniform(const at::Tensor& tensor, double bound, Rng&);
void fill_normal(const at::Tensor& tensor, double deviation, Rng&);
/// Each row of a [rows, width] tensor gets floor(density x width) normal values at random places,
/// zeros elsewhere. Throws kInvalidArgument when that leaves none.
void fill_sparse(const at::Tensor& tensor, double density, double deviation, Rng&);

}  // namespace lmoe::mixture
