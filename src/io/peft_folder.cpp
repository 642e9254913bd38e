#include "io/peft_folder.h"

#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "io/lora_config.h"
#include "io/safetensors.h"
#include "io/strict_json.h"

namespace lmoe::io {
namespace {

constexpr std::string_view kPrefix = "base_model.model.";

struct Factor {
  std::string module;
  bool is_a = false;
};

/// "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight" -> module and factor.
std::optional<Factor> parse_key(std::string_view key) {
  if (key.substr(0, kPrefix.size()) == kPrefix) key.remove_prefix(kPrefix.size());
  for (const bool is_a : {true, false}) {
    const std::string marker = is_a ? ".lora_A." : ".lora_B.";
    const size_t at = key.find(marker);
    if (at == std::string_view::npos || at == 0) continue;
    const std::string_view rest = key.substr(at + marker.size());
    if (rest == "weight" || rest == "default.weight")
      return Factor{std::string(key.substr(0, at)), is_a};
  }
  return std::nullopt;
}

bool is_known_but_unsupported(const std::string& key) {
  for (const char* part :
       {"lora_magnitude_vector", "lora_embedding_", ".bias", "modules_to_save", "lora_A", "lora_B"})
    if (key.find(part) != std::string::npos) return true;
  return false;
}

struct Halves {
  const TensorView* a = nullptr;
  const TensorView* b = nullptr;
};

/// Tensors by module. Throws for keys that are no LoRA factor and for two keys that mean the same.
std::vector<std::pair<std::string, Halves>> collect(const WeightSource& source) {
  std::vector<std::pair<std::string, Halves>> modules;
  std::map<std::string, size_t> index;
  for (const std::string& key : source.names()) {
    const std::optional<Factor> factor = parse_key(key);
    if (!factor) {
      fail(is_known_but_unsupported(key) ? ErrorCode::kUnsupported : ErrorCode::kCorruptData,
           "[peft] ", source.description(), ": tensor ", key,
           " is not a LoRA factor of a linear layer",
           is_known_but_unsupported(key) ? "; such adapters are not supported" : "");
    }
    const auto [entry, is_new] = index.emplace(factor->module, modules.size());
    if (is_new) modules.push_back({factor->module, {}});
    Halves& halves = modules[entry->second].second;
    const TensorView*& half = factor->is_a ? halves.a : halves.b;
    LMOE_CHECK_DATA(half == nullptr, "[peft] ", source.description(), ": tensor ", key,
                    " is there twice, with and without prefix or adapter name");
    half = source.find(key);
  }
  return modules;
}

void check_factor(const TensorView& factor,
                  size_t rank_axis,
                  int64_t rank,
                  const std::string& where) {
  if (factor.shape.size() == 4)
    fail(ErrorCode::kUnsupported, where, "tensor ", factor.name,
         " belongs to a convolution, which is not supported");
  const bool floating = factor.dtype == DType::kF32 || factor.dtype == DType::kF16 ||
                        factor.dtype == DType::kBF16 || factor.dtype == DType::kF64;
  LMOE_CHECK_DATA(floating, where, "tensor ", factor.name, " has type ", dtype_name(factor.dtype),
                  ", expected floating point");
  const bool fits = factor.shape.size() == 2 && factor.shape[rank_axis] == rank &&
                    factor.shape[1 - rank_axis] > 0;
  const bool transposed = factor.shape.size() == 2 && factor.shape[1 - rank_axis] == rank;
  LMOE_CHECK_DATA(
      fits, where, "tensor ", factor.name, " has shape ", factor.shape_text(), ", expected ",
      rank_axis == 0 ? concat("[", rank, ", in]") : concat("[out, ", rank, "]"), " (rank ", rank,
      " in adapter_config.json)", transposed ? "; it looks transposed or swapped" : "");
}

/// Every target must have hit something, or the adapter would do less than it says.
void check_targets(const LoraConfig& config,
                   const std::vector<LoraPair>& pairs,
                   const std::string& where) {
  // Backwards, a module that ends in a target begins with it.
  const auto backwards = [](const std::string& name) {
    return std::string(name.rbegin(), name.rend());
  };
  std::set<std::string> modules;
  for (const LoraPair& pair : pairs) modules.insert(backwards(pair.module));
  for (const std::string& target : config.target_modules) {
    const std::string whole = backwards(target), end = whole + ".";
    const auto after = modules.upper_bound(end);
    const bool hit =
        modules.count(whole) != 0 || (after != modules.end() && after->starts_with(end));
    LMOE_CHECK_DATA(hit, where, "target module \"", target,
                    "\" of adapter_config.json has no tensors");
  }
}

std::shared_ptr<WeightSource> open_tensors(const fs::path& folder) {
  if (!fs::exists(folder / "adapter_model.safetensors") && fs::exists(folder / "adapter_model.bin"))
    fail(ErrorCode::kUnsupported, "[peft] ", (folder / "adapter_model.bin").string(),
         " is a pickle, which can run code; save the adapter as safetensors");
  return SafetensorsFile::open(folder / "adapter_model.safetensors");
}

}  // namespace

LoraFolder read_peft_folder(const fs::path& folder) {
  const fs::path config_path = folder / "adapter_config.json";
  const std::string where = "[peft] " + folder.string() + ": ";
  LoraFolder result;
  result.config = parse_lora_config(read_json_file(config_path), config_path.string());
  result.storage = open_tensors(folder);
  const LoraScaling scaling(result.config);
  for (const auto& [module, halves] : collect(*result.storage)) {
    LMOE_CHECK_DATA(halves.a != nullptr && halves.b != nullptr, where, "module ", module,
                    " has lora_", halves.a != nullptr ? "A but no lora_B" : "B but no lora_A");
    const int64_t rank = scaling.rank(module);
    check_factor(*halves.a, /*rank_axis=*/0, rank, where);
    check_factor(*halves.b, /*rank_axis=*/1, rank, where);
    result.pairs.push_back({module, *halves.a, *halves.b, scaling.scaling(module)});
  }
  LMOE_CHECK_DATA(!result.pairs.empty(), where, "no LoRA tensors");
  check_targets(result.config, result.pairs, where);
  if (result.config.target_modules.empty())
    for (const LoraPair& pair : result.pairs) result.config.target_modules.push_back(pair.module);
  return result;
}

void write_peft_folder(const fs::path& folder,
                       const LoraConfig& config,
                       const std::vector<LoraPair>& pairs) {
  const std::string where = "[peft] " + folder.string() + ": ";
  LMOE_CHECK_ARG(!pairs.empty(), where, "an adapter needs at least one pair of factors");
  LoraConfig written = config;
  const LoraScaling scaling(config);
  std::vector<TensorView> tensors;
  for (const LoraPair& pair : pairs) {
    check_factor(pair.a, /*rank_axis=*/0, scaling.rank(pair.module), where);
    check_factor(pair.b, /*rank_axis=*/1, scaling.rank(pair.module), where);
    tensors.push_back(pair.a);
    tensors.back().name = concat(kPrefix, pair.module, ".lora_A.weight");
    tensors.push_back(pair.b);
    tensors.back().name = concat(kPrefix, pair.module, ".lora_B.weight");
    if (config.target_modules.empty()) written.target_modules.push_back(pair.module);
  }
  check_targets(written, pairs, where);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(ErrorCode::kIo, where, "cannot create the folder: ", error.message());
  write_safetensors(folder / "adapter_model.safetensors", tensors, {{"format", "pt"}});
  write_file_atomically(folder / "adapter_config.json", lora_config_json(written).dump(2) + "\n");
}

}  // namespace lmoe::io
