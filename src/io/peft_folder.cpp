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

enum class Part { kA, kB, kMagnitude };

struct Factor {
  std::string module;
  Part part = Part::kA;
};

/// "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight" -> module and part.
std::optional<Factor> parse_key(std::string_view key) {
  if (key.substr(0, kPrefix.size()) == kPrefix) key.remove_prefix(kPrefix.size());
  constexpr std::pair<std::string_view, Part> kMarkers[] = {
      {".lora_A", Part::kA}, {".lora_B", Part::kB}, {".lora_magnitude_vector", Part::kMagnitude}};
  for (const auto& [marker, part] : kMarkers) {
    const size_t at = key.find(marker);
    if (at == std::string_view::npos || at == 0) continue;
    const std::string_view rest = key.substr(at + marker.size());
    // PEFT saves the magnitude without its in-memory name's ".weight".
    const bool is_bare = part == Part::kMagnitude && (rest.empty() || rest == ".default");
    if (is_bare || rest == ".weight" || rest == ".default.weight")
      return Factor{std::string(key.substr(0, at)), part};
  }
  return std::nullopt;
}

bool is_known_but_unsupported(const std::string& key) {
  for (const char* part :
       {"lora_magnitude_vector", "lora_embedding_", ".bias", "modules_to_save", "lora_A", "lora_B"})
    if (key.find(part) != std::string::npos) return true;
  return false;
}

struct Parts {
  const TensorView* a = nullptr;
  const TensorView* b = nullptr;
  const TensorView* magnitude = nullptr;

  const TensorView*& of(Part part) {
    return part == Part::kA ? a : part == Part::kB ? b : magnitude;
  }
};

/// Tensors by module. Throws for keys that are no LoRA factor and for two keys that mean the same.
std::vector<std::pair<std::string, Parts>> collect(const WeightSource& source) {
  std::vector<std::pair<std::string, Parts>> modules;
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
    const TensorView*& part = modules[entry->second].second.of(factor->part);
    LMOE_CHECK_DATA(part == nullptr, "[peft] ", source.description(), ": tensor ", key,
                    " is there twice, with and without prefix or adapter name");
    part = source.find(key);
  }
  return modules;
}

void check_floating(const TensorView& tensor, const std::string& where) {
  const bool floating = tensor.dtype == DType::kF32 || tensor.dtype == DType::kF16 ||
                        tensor.dtype == DType::kBF16 || tensor.dtype == DType::kF64;
  LMOE_CHECK_DATA(floating, where, "tensor ", tensor.name, " has type ", dtype_name(tensor.dtype),
                  ", expected floating point");
}

void check_factor(const TensorView& factor,
                  size_t rank_axis,
                  int64_t rank,
                  const std::string& where) {
  if (factor.shape.size() == 4)
    fail(ErrorCode::kUnsupported, where, "tensor ", factor.name,
         " belongs to a convolution, which is not supported");
  check_floating(factor, where);
  const bool fits = factor.shape.size() == 2 && factor.shape[rank_axis] == rank &&
                    factor.shape[1 - rank_axis] > 0;
  const bool transposed = factor.shape.size() == 2 && factor.shape[1 - rank_axis] == rank;
  LMOE_CHECK_DATA(
      fits, where, "tensor ", factor.name, " has shape ", factor.shape_text(), ", expected ",
      rank_axis == 0 ? concat("[", rank, ", in]") : concat("[out, ", rank, "]"), " (rank ", rank,
      " in adapter_config.json)", transposed ? "; it looks transposed or swapped" : "");
}

/// A magnitude for every module of a DoRA, none for any other adapter.
void check_magnitude(const LoraPair& pair, bool use_dora, const std::string& where) {
  LMOE_CHECK_DATA(pair.magnitude.has_value() == use_dora, where, "module ", pair.module,
                  use_dora ? " has no lora_magnitude_vector, but use_dora is true"
                           : " has a lora_magnitude_vector, but use_dora is false");
  if (!use_dora) return;
  check_floating(*pair.magnitude, where);
  LMOE_CHECK_DATA(pair.magnitude->shape == std::vector<int64_t>{pair.b.shape[0]}, where, "tensor ",
                  pair.magnitude->name, " has shape ", pair.magnitude->shape_text(), ", expected [",
                  pair.b.shape[0], "], one number for each row of lora_B");
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
  for (const auto& [module, parts] : collect(*result.storage)) {
    LMOE_CHECK_DATA(parts.a != nullptr && parts.b != nullptr, where, "module ", module, " has ",
                    parts.a == nullptr && parts.b == nullptr ? "a lora_magnitude_vector alone"
                    : parts.a != nullptr                     ? "lora_A but no lora_B"
                                                             : "lora_B but no lora_A");
    const int64_t rank = scaling.rank(module);
    check_factor(*parts.a, /*rank_axis=*/0, rank, where);
    check_factor(*parts.b, /*rank_axis=*/1, rank, where);
    result.pairs.push_back({module, *parts.a, *parts.b, scaling.scaling(module), {}});
    if (parts.magnitude != nullptr) result.pairs.back().magnitude = *parts.magnitude;
    check_magnitude(result.pairs.back(), result.config.use_dora, where);
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
    check_magnitude(pair, config.use_dora, where);
    if (pair.magnitude) {
      tensors.push_back(*pair.magnitude);
      tensors.back().name = concat(kPrefix, pair.module, ".lora_magnitude_vector");
    }
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
