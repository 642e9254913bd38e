#include "mixture/moe_peft_folder.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "base/files.h"
#include "io/safetensors.h"
#include "io/strict_json.h"
#include "mixture/expert_bank.h"
#include "mixture/gate.h"
#include "nn/tensor_bytes.h"
#include "spec/moe_peft_config.h"

namespace lmoe::mixture {
namespace {

fs::path config_file(const fs::path& folder) { return folder / "adapter_config.json"; }
fs::path tensor_file(const fs::path& folder) { return folder / "adapter_model.safetensors"; }

/// Every tensor of the mixture by its name in the file; all are views of the parameters.
std::vector<nn::NamedTensor> named_tensors(const Mixture& mixture, const std::string& prefix) {
  std::vector<nn::NamedTensor> all;
  const auto add_factors = [&](const std::string& name, const ExpertFactors& factors) {
    all.push_back({name + ".lora_A.weight", factors.a.detach()});
    all.push_back({name + ".lora_B.weight", factors.b.detach()});
  };
  const auto name_of = [&](const BankTarget& target) { return prefix + "." + target.site; };
  for (const auto& gate : mixture.gates()) {
    const at::Tensor weight = gate->tensors().front().tensor.detach();
    for (size_t g = 0; g < gate->sites().size(); ++g)
      all.push_back(
          {prefix + "." + gate->sites()[g].name + ".moe_gate.weight",
           weight.narrow(/*dim=*/0, static_cast<int64_t>(g) * gate->experts(), gate->experts())});
  }
  for (const ExpertBank* bank : mixture.expert_banks())
    for (size_t t = 0; t < bank->targets().size(); ++t)
      for (int64_t e = 0; e < bank->experts(); ++e)
        add_factors(concat(name_of(bank->targets()[t]), ".experts.", e),
                    bank->folder_factors(t, e));
  for (const ExpertBank* bank : mixture.plain_expert_banks())
    for (size_t t = 0; t < bank->targets().size(); ++t)
      add_factors(name_of(bank->targets()[t]), bank->folder_factors(t, 0));
  return all;
}

const char* activation_name(nn::GatedActivation activation) {
  switch (activation) {
    case nn::GatedActivation::kSilu:
      return "silu";
    case nn::GatedActivation::kGeluTanh:
      return "gelu_pytorch_tanh";
    case nn::GatedActivation::kGelu:
      return "gelu";
  }
  return "";
}

/// `act_fn` may only repeat what the base does.
void check_activation(const Json& config, const nn::Sockets& sockets, const std::string& where) {
  const auto given = config.find("act_fn");
  if (given == config.end() || given->is_null() || sockets.mlps.empty()) return;
  const char* own = activation_name(sockets.mlps.front()->activation());
  if (*given != own)
    fail(ErrorCode::kUnsupported, where, ": act_fn: given ", given->dump(),
         ", expected that of the base model, \"", own, "\"");
}

}  // namespace

bool is_moe_peft_folder(const fs::path& folder) {
  return fs::is_regular_file(config_file(folder)) &&
         spec::is_moe_peft_config(io::read_json_file(config_file(folder)));
}

std::unique_ptr<Mixture> load_moe_peft_folder(const fs::path& folder, const nn::Sockets& sockets) {
  const std::string where = "[moe_peft] " + config_file(folder).string();
  const Json config = io::read_json_file(config_file(folder));
  LMOE_CHECK_DATA(spec::is_moe_peft_config(config), where,
                  ": peft_type is none of MIXLORA, LORAMOE, MOLA");
  check_activation(config, sockets, where);
  const bool has_pickle = fs::exists(folder / "adapter_model.bin");
  LMOE_CHECK_DATA(fs::exists(tensor_file(folder)), "[moe_peft] ", tensor_file(folder).string(),
                  " is missing",
                  has_pickle ? "; adapter_model.bin is a pickle, which may run code and is not "
                               "read; hint: convert it with safetensors.torch.save_file"
                             : "");
  const auto file = io::SafetensorsFile::open(tensor_file(folder));
  auto mixture = std::make_unique<Mixture>(spec::mixture_from_moe_peft(config, where), sockets,
                                           /*seed=*/0);
  for (const nn::NamedTensor& own : named_tensors(*mixture, spec::moe_peft_prefix(config)))
    nn::copy_from_view(file->claim(own.name, own.tensor.sizes().vec()), own.tensor);
  file->check_all_claimed("moe_peft");
  return mixture;
}

void save_moe_peft_folder(const Mixture& mixture,
                          const fs::path& folder,
                          const std::string& base_model_name) {
  Json config = spec::moe_peft_from_mixture(mixture.spec());
  config["base_model_name_or_path"] = base_model_name;
  std::vector<at::Tensor> storage;  // columns of B are copied to become contiguous
  std::vector<io::TensorView> views;
  for (const nn::NamedTensor& own : named_tensors(mixture, spec::moe_peft_prefix(config))) {
    storage.push_back(own.tensor.contiguous());
    views.push_back(nn::view_of(own.name, storage.back()));
  }
  fs::create_directories(folder);
  io::write_safetensors(tensor_file(folder), views, {{"format", "pt"}});
  write_file_atomically(config_file(folder), config.dump(2) + "\n");
}

}  // namespace lmoe::mixture
