// Small row-major GEMMs inside one thread, by the BLAS that LibTorch carries.
#pragma once

#include <cstdint>

extern "C" {
void sgemm_(const char* transa,
            const char* transb,
            const int* m,
            const int* n,
            const int* k,
            const float* alpha,
            const float* a,
            const int* lda,
            const float* b,
            const int* ldb,
            const float* beta,
            float* c,
            const int* ldc);
void dgemm_(const char* transa,
            const char* transb,
            const int* m,
            const int* n,
            const int* k,
            const double* alpha,
            const double* a,
            const int* lda,
            const double* b,
            const int* ldb,
            const double* beta,
            double* c,
            const int* ldc);
}

namespace lmoe::nn {

/// A matrix whose rows lie `stride` apart.
template <class A>
struct Rows {
  A* data = nullptr;
  int64_t stride = 0;
};

/// c [m, n] = alpha * op(a) [m, k] * op(b) [k, n] + beta * c. Inside a parallel region it runs on
/// the calling thread alone.
template <class A>
void gemm(bool transpose_a,
          bool transpose_b,
          int64_t m,
          int64_t n,
          int64_t k,
          A alpha,
          Rows<const A> a,
          Rows<const A> b,
          A beta,
          Rows<A> c) {
  // Row-major c = a b is column-major c' = b' a'.
  const char flag_a = transpose_a ? 'T' : 'N', flag_b = transpose_b ? 'T' : 'N';
  const int rows = static_cast<int>(m), columns = static_cast<int>(n), inner = static_cast<int>(k);
  const int lda = static_cast<int>(a.stride), ldb = static_cast<int>(b.stride),
            ldc = static_cast<int>(c.stride);
  if constexpr (sizeof(A) == sizeof(float)) {
    sgemm_(&flag_b, &flag_a, &columns, &rows, &inner, &alpha, b.data, &ldb, a.data, &lda, &beta,
           c.data, &ldc);
  } else {
    dgemm_(&flag_b, &flag_a, &columns, &rows, &inner, &alpha, b.data, &ldb, a.data, &lda, &beta,
           c.data, &ldc);
  }
}

}  // namespace lmoe::nn
