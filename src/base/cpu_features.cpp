#include "base/cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <fstream>

namespace lmoe {

#if defined(__x86_64__)

Bf16Support bf16_support() {
  constexpr unsigned kLeaf = 7, kAmxBf16 = 1u << 22, kAvx512Bf16 = 1u << 5;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  __builtin_cpu_init();
  if (__get_cpuid_count(kLeaf, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & kAmxBf16) != 0)
    return {true, "this processor has amx_bf16"};
  // The operating system must also keep the wide registers, which the compiler's check covers.
  if (__get_cpuid_count(kLeaf, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & kAvx512Bf16) != 0 &&
      __builtin_cpu_supports("avx512f"))
    return {true, "this processor has avx512_bf16"};
  return {false, "this processor has neither avx512_bf16 nor amx_bf16"};
}

std::vector<std::string> cpu_features() {
  constexpr unsigned kLeaf = 7, kAmxBf16 = 1u << 22, kAvx512Bf16 = 1u << 5;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  __builtin_cpu_init();
  std::vector<std::string> features;
  if (__builtin_cpu_supports("avx2")) features.emplace_back("avx2");
  if (__builtin_cpu_supports("fma")) features.emplace_back("fma");
  const bool wide = __builtin_cpu_supports("avx512f");
  if (wide) features.emplace_back("avx512f");
  if (wide && __builtin_cpu_supports("avx512vnni")) features.emplace_back("avx512_vnni");
  if (wide && __get_cpuid_count(kLeaf, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & kAvx512Bf16) != 0)
    features.emplace_back("avx512_bf16");
  if (__get_cpuid_count(kLeaf, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & kAmxBf16) != 0)
    features.emplace_back("amx_bf16");
  return features;
}

#else

std::vector<std::string> cpu_features() { return {}; }

Bf16Support bf16_support() { return {false, "fast bfloat16 is known for x86-64 processors only"}; }

#endif

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

}  // namespace lmoe
