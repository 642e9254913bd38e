#include "arch/rope_rows.h"

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace lmoe::arch {
namespace {

template <class T>
void unpermute(std::span<T> values, int64_t heads, int64_t head_dim) {
  const auto rows = static_cast<size_t>(heads * head_dim);
  LMOE_CHECK_ARG(rows > 0 && head_dim % 2 == 0 && values.size() % rows == 0, "[unpermute] ",
                 values.size(), " values do not make ", rows, " rows");
  const size_t width = values.size() / rows;
  const auto half = static_cast<size_t>(head_dim / 2);
  std::vector<T> head(2 * half * width);
  for (size_t first = 0; first < values.size(); first += head.size()) {
    const auto stored = values.subspan(first, head.size());
    std::copy(stored.begin(), stored.end(), head.begin());
    for (size_t i = 0; i < half; ++i) {
      for (size_t part = 0; part < 2; ++part)
        std::copy_n(head.begin() + static_cast<std::ptrdiff_t>((2 * i + part) * width), width,
                    stored.begin() + static_cast<std::ptrdiff_t>((part * half + i) * width));
    }
  }
}

}  // namespace

void unpermute_rope_rows(std::span<float> values, int64_t heads, int64_t head_dim) {
  unpermute(values, heads, head_dim);
}

void unpermute_rope_rows(std::span<std::byte> bytes, int64_t heads, int64_t head_dim) {
  unpermute(bytes, heads, head_dim);
}

}  // namespace lmoe::arch
