#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "io/peft_folder.h"
#include "io/safetensors.h"
#include "mixture/expert_bank.h"
#include "mixture/gate.h"
#include "mixture/load_adapter.h"
#include "mixture/mixture.h"
#include "mixture/prompt_bank.h"
#include "mixture/run_folder.h"
#include "nn/tensor_bytes.h"

namespace lmoe::mixture {
namespace {

spec::MixtureSpec load_spec(const fs::path& path) {
  const ConfigNode root = read_config_file(path);
  LMOE_CHECK_DATA(root.is_map(), "[load_mixture] ", path.string(), ": expected a mapping of keys");
  ReadReport report;
  try {
    return spec::read_mixture(root, report);
  } catch (const Error& error) {
    fail(ErrorCode::kCorruptData, "[load_mixture] ", path.string(), ": ",
         without_operation(error.what()));
  }
}

/// One folder per expert and none besides.
void check_expert_folders(const spec::MixtureSpec& spec, const fs::path& folder) {
  std::vector<std::string> names = spec.adapter_folders();
  if (spec.has_plain()) names.emplace_back(spec::kPlainFolder);
  for (const std::string& name : names) {
    LMOE_CHECK_DATA(fs::is_directory(folder / name), "[load_mixture] ", (folder / name).string(),
                    " is missing: mixture.yaml asks for ", names.size(), " adapters, \"", name,
                    "\" among them");
  }
  if (names.empty() && !fs::exists(folder)) return;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    LMOE_CHECK_DATA(std::find(names.begin(), names.end(), name) != names.end(), "[load_mixture] ",
                    entry.path().string(), " is not among the experts of mixture.yaml");
  }
}

/// Claims the tensors of all sites of stacked ones: `name(site number, suffix)`.
template <class Name>
void load_stacked(io::SafetensorsFile& file,
                  const std::vector<StackedTensor>& tensors,
                  int64_t sites,
                  const Name& name) {
  for (const StackedTensor& part : tensors) {
    const int64_t rows = part.tensor.size(0) / sites;
    for (int64_t s = 0; s < sites; ++s) {
      const at::Tensor own = part.tensor.narrow(/*dim=*/0, s * rows, rows);
      nn::copy_from_view(file.claim(name(static_cast<size_t>(s), part.suffix), own.sizes().vec()),
                         own);
    }
  }
}

/// Each went to an expert that the gate has.
void check_references(const Gate& gate, const fs::path& path) {
  if (gate.references() == nullptr) return;
  const at::Tensor& experts = gate.references()->values;
  const auto is_expert = experts.ge(0).logical_and(experts.lt(gate.experts()));
  LMOE_CHECK_DATA(
      is_expert.logical_and(experts.eq(experts.floor())).all().item<bool>(), "[load_mixture] ",
      path.string(), ": ", router_tensor(gate.owners().front().name, "reference_experts"),
      " names experts that do not exist: expected whole numbers from 0 to ", gate.experts() - 1);
}

void load_router(const Mixture& mixture, const fs::path& path) {
  bool has_any = !mixture.buffers().empty();
  for (const auto& gate : mixture.gates()) has_any = has_any || !gate->tensors().empty();
  LMOE_CHECK_DATA(has_any || !fs::exists(path), "[load_mixture] ", path.string(),
                  " is there, but the gates of mixture.yaml have nothing to load: gate.source ",
                  enum_name(mixture.spec().gate.source), ", gate.net ",
                  enum_name(mixture.spec().gate.net));
  if (!has_any) return;
  const auto file = io::SafetensorsFile::open(path);
  for (const auto& gate : mixture.gates()) {
    load_stacked(*file, gate->tensors(), static_cast<int64_t>(gate->owners().size()),
                 [&](size_t s, const std::string& suffix) {
                   return router_tensor(gate->owners()[s].name, suffix);
                 });
  }
  for (const auto& tensors : {mixture.common_gate_parameters(), mixture.buffers()})
    for (const nn::NamedTensor& one : tensors)
      nn::copy_from_view(file->claim(one.name, one.tensor.sizes().vec()), one.tensor);
  file->check_all_claimed("load_mixture");
  for (const auto& gate : mixture.gates()) check_references(*gate, path);
}

void load_other_tensors(const Mixture& mixture, const fs::path& path) {
  std::vector<nn::NamedTensor> wanted;
  for (const ExpertBank* bank : mixture.expert_banks())
    for (const nn::NamedTensor& other : bank->other_tensors()) wanted.push_back(other);
  LMOE_CHECK_DATA(!wanted.empty() || !fs::exists(path), "[load_mixture] ", path.string(),
                  " is there, but mixture.yaml has experts.kind ",
                  enum_name(mixture.spec().experts.kind));
  if (wanted.empty()) return;
  const auto file = io::SafetensorsFile::open(path);
  for (const nn::NamedTensor& own : wanted)
    nn::copy_from_view(file->claim(own.name, own.tensor.sizes().vec()), own.tensor);
  file->check_all_claimed("load_mixture");
}

void load_prompts(const Mixture& mixture, const fs::path& path) {
  const std::shared_ptr<PromptBank>& bank = mixture.prompt_bank();
  LMOE_CHECK_DATA(bank != nullptr || !fs::exists(path), "[load_mixture] ", path.string(),
                  " is there, but mixture.yaml has prompts.count 0");
  if (bank == nullptr) return;
  const auto file = io::SafetensorsFile::open(path);
  const auto read = [&](const char* name, const at::Tensor& own) {
    nn::copy_from_view(file->claim(name, own.sizes().vec()), own);
  };
  read("keys", bank->keys());
  read("embeddings", bank->embeddings());
  file->check_all_claimed("load_mixture");
}

/// Gradient checks train in float64; everything else is float32.
at::ScalarType parameter_type(const fs::path& folder, const std::vector<std::string>& adapters) {
  const auto file = io::SafetensorsFile::open(
      adapters.empty() ? other_tensors_file(folder)
                       : experts_folder(folder) / adapters.front() / "adapter_model.safetensors");
  const std::vector<std::string> names = file->names();
  const bool is_double = !names.empty() && file->find(names.front())->dtype == io::DType::kF64;
  return is_double ? at::kDouble : at::kFloat;
}

std::unique_ptr<Mixture> fresh_mixture(const spec::MixtureSpec& spec,
                                       const nn::Sockets& sockets,
                                       at::ScalarType dtype,
                                       const fs::path& folder) {
  try {
    return std::make_unique<Mixture>(spec, sockets, /*seed=*/0, dtype);
  } catch (const Error& error) {
    fail(ErrorCode::kCorruptData, "[load_mixture] ", folder.string(), ": ",
         without_operation(error.what()));
  }
}

}  // namespace

std::unique_ptr<Mixture> Mixture::load(const fs::path& folder, const nn::Sockets& sockets) {
  const spec::MixtureSpec spec = load_spec(spec_file(folder));
  check_expert_folders(spec, experts_folder(folder));
  const std::vector<std::string> names = spec.adapter_folders();
  std::unique_ptr<Mixture> mixture =
      fresh_mixture(spec, sockets, parameter_type(folder, names), folder);
  for (size_t i = 0; i < names.size(); ++i) {
    const fs::path path = experts_folder(folder) / names[i];
    load_adapter(spec, mixture->expert_banks(), io::read_peft_folder(path), path,
                 static_cast<int64_t>(i), OtherScaling::kRefuse);
  }
  if (spec.has_plain()) {
    const fs::path path = experts_folder(folder) / spec::kPlainFolder;
    load_adapter(spec.plain_part(), mixture->plain_expert_banks(), io::read_peft_folder(path), path,
                 /*index=*/0, OtherScaling::kRefuse);
  }
  load_router(*mixture, router_file(folder));
  load_other_tensors(*mixture, other_tensors_file(folder));
  load_prompts(*mixture, prompts_file(folder));
  return mixture;
}

}  // namespace lmoe::mixture
