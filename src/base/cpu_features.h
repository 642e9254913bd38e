// What the processor can do, where it decides how we compute.
#pragma once

#include <string>
#include <vector>

namespace lmoe {

struct Bf16Support {
  bool is_fast = false;
  std::string reason;  ///< "this processor has avx512_bf16", for people
};

/// bfloat16 GEMMs are worth using only with instructions for them (AVX-512 BF16 or AMX); elsewhere
/// they run many times slower than float32.
Bf16Support bf16_support();

/// Those instruction sets of the processor that decide how fast matrices are multiplied, for the
/// conditions of a measurement: "avx2", "avx512f", "avx512_bf16", …
std::vector<std::string> cpu_features();

/// "AMD EPYC 9V74 80-Core Processor", or "unknown processor".
std::string cpu_name();

}  // namespace lmoe
