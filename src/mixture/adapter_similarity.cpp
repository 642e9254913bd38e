#include "mixture/adapter_similarity.h"

#include <ATen/ATen.h>

#include <cmath>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "nn/tensor_bytes.h"

namespace lmoe::mixture {
namespace {

using Cosines = std::vector<std::vector<double>>;
using ByModule = std::map<std::string, const io::LoraPair*>;

ByModule by_module(const io::LoraFolder& folder) {
  ByModule pairs;
  for (const io::LoraPair& pair : folder.pairs) pairs[pair.module] = &pair;
  return pairs;
}

void check_same_modules(const io::LoraFolder& one,
                        const fs::path& path,
                        const io::LoraFolder& first,
                        const fs::path& first_path) {
  const ByModule own = by_module(one), expected = by_module(first);
  const auto refuse_lack = [](const fs::path& with, const fs::path& without,
                              const std::string& module) {
    fail(ErrorCode::kInvalidArgument, "[adapters] ", with.string(), " adapts ", module, ", ",
         without.string(), " does not: expected adapters of the same projections");
  };
  for (const auto& [module, pair] : expected) {
    const auto found = own.find(module);
    if (found == own.end()) refuse_lack(first_path, path, module);
    const int64_t in = found->second->a.shape[1], out = found->second->b.shape[0];
    LMOE_CHECK_ARG(in == pair->a.shape[1] && out == pair->b.shape[0], "[adapters] ", path.string(),
                   ": ", module, " is [", out, ", ", in, "], expected [", pair->b.shape[0], ", ",
                   pair->a.shape[1], "] as in ", first_path.string(),
                   "; it was trained on another base model");
  }
  for (const auto& [module, pair] : own)
    if (expected.count(module) == 0) refuse_lack(path, first_path, module);
}

at::Tensor exact(const io::TensorView& view) {
  at::Tensor values = at::empty(view.shape, at::kDouble);
  nn::copy_from_view(view, values);
  return values;
}

struct Factors {
  at::Tensor a, b;
};

double inner_product(const Factors& one, const Factors& other) {
  return (at::matmul(one.b.t(), other.b) * at::matmul(one.a, other.a.t())).sum().item<double>();
}

/// Adds what the adapters of one module have in common, divided by `modules`.
void add_cosines(const std::vector<Factors>& factors, size_t modules, Cosines& cosines) {
  std::vector<double> norms;
  for (const Factors& one : factors) norms.push_back(std::sqrt(inner_product(one, one)));
  for (size_t i = 0; i < factors.size(); ++i) {
    for (size_t j = i + 1; j < factors.size(); ++j) {
      const double lengths = norms[i] * norms[j];
      if (!(lengths > 0.0)) continue;
      const double cosine = inner_product(factors[i], factors[j]) / lengths;
      cosines[i][j] += cosine / static_cast<double>(modules);
      cosines[j][i] = cosines[i][j];
    }
  }
}

}  // namespace

std::vector<io::LoraFolder> read_bank(const std::vector<fs::path>& folders) {
  std::vector<io::LoraFolder> bank;
  for (const fs::path& path : folders) {
    if (!fs::is_directory(path))
      fail(ErrorCode::kNotFound, "[adapters] no such adapter: given ", path.string(),
           ", expected a PEFT folder; hint: a run's experts are below RUN/experts");
    bank.push_back(io::read_peft_folder(path));
    if (bank.back().config.use_dora)
      fail(ErrorCode::kUnsupported, "[adapters] ", path.string(),
           " is a DoRA, whose delta is not B A: expected a LoRA");
    check_same_modules(bank.back(), path, bank.front(), folders.front());
  }
  return bank;
}

Cosines delta_cosines(std::span<const io::LoraFolder* const> adapters) {
  Cosines cosines(adapters.size(), std::vector<double>(adapters.size(), 0.0));
  for (size_t i = 0; i < adapters.size(); ++i) cosines[i][i] = 1.0;
  if (adapters.empty()) return cosines;
  std::vector<ByModule> pairs;
  for (const io::LoraFolder* adapter : adapters) pairs.push_back(by_module(*adapter));
  for (const auto& [module, first] : pairs.front()) {
    std::vector<Factors> factors;
    for (const ByModule& own : pairs) {
      const io::LoraPair& pair = *own.at(module);
      factors.push_back({exact(pair.a), exact(pair.b)});
      LMOE_CHECK_DATA(at::isfinite(factors.back().a).all().item<bool>() &&
                          at::isfinite(factors.back().b).all().item<bool>(),
                      "[adapters] ", own.at(module)->a.name,
                      " or its lora_B holds NaN or infinity");
    }
    add_cosines(factors, pairs.front().size(), cosines);
  }
  return cosines;
}

}  // namespace lmoe::mixture
