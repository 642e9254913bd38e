#include "mixture/x_lora_folder.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <map>

#include "base/error.h"
#include "base/files.h"
#include "io/safetensors.h"
#include "io/strict_json.h"
#include "mixture/gate.h"
#include "mixture/load_adapter.h"
#include "mixture/run_folder.h"
#include "nn/tensor_bytes.h"
#include "spec/x_lora_config.h"

namespace lmoe::mixture {
namespace {

constexpr const char* kPeftPrefix = "base_model.internal_xlora_classifier.layers.";

fs::path peft_config(const fs::path& folder) { return folder / "adapter_config.json"; }
fs::path original_config(const fs::path& folder) { return folder / "xlora_config.json"; }

/// Positions of linear layers below `prefix`, in order.
std::map<int64_t, std::string> layers_below(const io::SafetensorsFile& file,
                                            const std::string& prefix) {
  std::map<int64_t, std::string> layers;
  for (const std::string& name : file.names()) {
    if (!name.starts_with(prefix) || !name.ends_with(".weight")) continue;
    const std::string number =
        name.substr(prefix.size(), name.size() - prefix.size() - std::string(".weight").size());
    if (number.empty() || number.size() > 6 ||
        number.find_first_not_of("0123456789") != std::string::npos)
      continue;
    layers[std::stoll(number)] = prefix + number;
  }
  return layers;
}

void load_classifier(const Mixture& mixture, const fs::path& path, bool is_peft) {
  const auto file = io::SafetensorsFile::open(path);
  const auto numbered = layers_below(*file, is_peft ? kPeftPrefix : "inner.");
  std::vector<std::string> names;
  for (const auto& [position, name] : numbered) names.push_back(name);
  if (!is_peft) names.emplace_back("last");
  const std::vector<StackedTensor> tensors = mixture.gates().front()->tensors();
  LMOE_CHECK_DATA(2 * names.size() == tensors.size(), "[x_lora] ", path.string(), " has ",
                  names.size(), " linear layers: expected ", tensors.size() / 2,
                  " as xlora_depth says");
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::string name = names[i / 2] + (i % 2 == 0 ? ".weight" : ".bias");
    nn::copy_from_view(file->claim(name, tensors[i].tensor.sizes().vec()), tensors[i].tensor);
  }
  file->check_all_claimed("x_lora");
}

/// Where an adapter is: as given, or below the folder.
std::string adapter_folder(const fs::path& folder,
                           const std::string& given,
                           const std::string& name) {
  if (given.empty()) return (folder / name).string();
  for (const fs::path& candidate :
       {fs::path(given), folder / given, folder / fs::path(given).filename()})
    if (fs::is_directory(candidate)) return candidate.string();
  fail(ErrorCode::kNotFound, "[x_lora] ", peft_config(folder).string(),
       ": adapters: there is no \"", given, "\", neither here nor below ", folder.string());
}

}  // namespace

bool is_x_lora_folder(const fs::path& folder) {
  if (fs::is_regular_file(original_config(folder))) return true;
  return fs::is_regular_file(peft_config(folder)) &&
         spec::is_peft_x_lora_config(io::read_json_file(peft_config(folder)));
}

std::unique_ptr<Mixture> load_x_lora_folder(const fs::path& folder, const nn::Sockets& sockets) {
  const c10::NoGradGuard no_grad;
  const bool is_peft = !fs::exists(original_config(folder));
  const fs::path path = is_peft ? peft_config(folder) : original_config(folder);
  const Json json = io::read_json_file(path);
  const std::string where = "[x_lora] " + path.string();
  spec::XLoraConfig config = is_peft ? spec::read_peft_x_lora_config(json, where)
                                     : spec::read_original_x_lora_config(json, where);
  const int64_t hidden = sockets.groups.front()->linears().front().weight.columns();
  LMOE_CHECK_DATA(config.hidden_size == hidden, where, ": hidden_size: given ", config.hidden_size,
                  ", expected that of the base model, ", hidden);
  std::vector<std::string>& adapters = config.mixture.experts.adapters;
  for (size_t i = 0; i < config.paths.size(); ++i)
    adapters.push_back(adapter_folder(folder, config.paths[i], config.mixture.experts.names[i]));
  auto mixture = std::make_unique<Mixture>(with_adapters(config.mixture), sockets, /*seed=*/0);
  begin_with_adapters(*mixture);
  if (config.global_scaling != 1.0) {
    for (const ExpertBank* bank : mixture->expert_banks())
      for (size_t t = 0; t < bank->targets().size(); ++t) bank->b(t).mul_(config.global_scaling);
  }
  load_classifier(*mixture,
                  folder / (is_peft ? "adapter_model.safetensors" : "xlora_classifier.safetensors"),
                  is_peft);
  return mixture;
}

void save_x_lora_folder(const Mixture& mixture,
                        const fs::path& folder,
                        const std::string& base_model_name) {
  const spec::MixtureSpec& spec = mixture.spec();
  std::vector<std::string> paths;
  for (const std::string& name : spec.expert_names()) paths.push_back((folder / name).string());
  const auto gates = mixture.gates();
  const int64_t hidden = gates.empty() ? 0 : gates.front()->input_width();
  Json config = spec::peft_x_lora_config(spec, hidden, paths);
  config["base_model_name_or_path"] = base_model_name;

  // PEFT counts ReLU, and dropout where there is any, as layers.
  const int64_t spacing = spec.gate.dropout > 0.0 ? 3 : 2;
  std::vector<io::TensorView> views;
  const std::vector<StackedTensor> tensors = gates.front()->tensors();
  for (size_t i = 0; i < tensors.size(); ++i)
    views.push_back(nn::view_of(concat(kPeftPrefix, spacing * static_cast<int64_t>(i / 2),
                                       i % 2 == 0 ? ".weight" : ".bias"),
                                tensors[i].tensor));
  fs::create_directories(folder);
  const fs::path whole = folder / ".run";
  fs::create_directories(whole);
  mixture.save(whole, base_model_name);
  for (const std::string& name : spec.expert_names())
    fs::rename(experts_folder(whole) / name, folder / name);
  fs::remove_all(whole);
  io::write_safetensors(folder / "adapter_model.safetensors", views, {{"format", "pt"}});
  write_file_atomically(peft_config(folder), config.dump(2) + "\n");
}

}  // namespace lmoe::mixture
