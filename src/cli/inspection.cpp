#include "cli/inspection.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <sstream>

#include "arch/base_model.h"
#include "base/config_node.h"
#include "base/error.h"
#include "base/files.h"
#include "io/gguf.h"
#include "io/manifest.h"
#include "io/peft_folder.h"
#include "io/safetensors.h"

namespace lmoe::cli {
namespace {

void describe_tensors(Json& out, const io::WeightSource& source, bool with_list) {
  std::map<std::string, int64_t> by_type;
  int64_t elements = 0, bytes = 0;
  Json list = Json::array();
  for (const std::string& name : source.names()) {
    const io::TensorView& view = *source.find(name);
    by_type[io::dtype_name(view.dtype)] += 1;
    elements += view.elements();
    bytes += static_cast<int64_t>(view.bytes.size());
    if (with_list) {
      list.push_back({{"name", name},
                      {"dtype", io::dtype_name(view.dtype)},
                      {"shape", view.shape},
                      {"bytes", view.bytes.size()}});
    }
  }
  out["tensor_count"] = source.names().size();
  out["parameters"] = elements;
  out["bytes"] = bytes;
  out["tensor_types"] = by_type;
  if (with_list) out["tensors"] = std::move(list);
}

std::vector<fs::path> entries_by_name(const fs::path& folder) {
  std::vector<fs::path> paths;
  if (!fs::exists(folder)) return paths;
  for (const auto& entry : fs::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// Every expert of a run, by name; what lies in experts.safetensors, which is all there is where
/// experts are no LoRAs; and how many parameters these have together.
void describe_experts(Json& out, const fs::path& run) {
  const fs::path folder = run / "experts", others = run / "experts.safetensors";
  LMOE_CHECK_DATA(fs::is_directory(folder) || fs::exists(others), "[inspect] ", folder.string(),
                  " is missing: given a run without it, expected a folder for each expert");
  Json experts = Json::array();
  int64_t parameters = 0;
  for (const fs::path& path : entries_by_name(folder)) {
    const io::LoraFolder expert = io::read_peft_folder(path);
    int64_t size = 0;
    for (const io::LoraPair& pair : expert.pairs)
      size +=
          pair.a.elements() + pair.b.elements() + (pair.magnitude ? pair.magnitude->elements() : 0);
    parameters += size;
    experts.push_back({{"name", path.filename().string()},
                       {"rank", expert.config.rank},
                       {"alpha", expert.config.alpha},
                       {"modules", expert.pairs.size()},
                       {"parameters", size}});
  }
  if (fs::exists(others)) {
    Json tensors = Json::object();
    describe_tensors(tensors, *io::SafetensorsFile::open(others), /*with_list=*/false);
    parameters += tensors["parameters"].get<int64_t>();
    out["other_expert_tensors"] = std::move(tensors);
  }
  out["experts"] = std::move(experts);
  out["expert_parameters"] = parameters;
}

/// The bank of prompts: how many entries and how long.
Json describe_prompts(const fs::path& run) {
  const auto file = io::SafetensorsFile::open(run / "prompts.safetensors");
  const io::TensorView* embeddings = file->find("embeddings");
  LMOE_CHECK_DATA(embeddings != nullptr && embeddings->shape.size() == 3, "[inspect] ",
                  (run / "prompts.safetensors").string(),
                  " is no bank of prompts: expected embeddings [entries, length, width]");
  Json out = {{"entries", embeddings->shape[0]}, {"length", embeddings->shape[1]}};
  describe_tensors(out, *file, /*with_list=*/false);
  return out;
}

Json describe_run(const fs::path& folder, bool with_tensors) {
  Json out = {{"kind", "run"}, {"path", folder.string()}};
  const bool is_complete = fs::exists(folder / io::kManifestName);
  if (is_complete) io::check_manifest(folder);
  const ConfigNode mixture = read_config_file(folder / "mixture.yaml");
  if (const ConfigNode* method = mixture.find("method")) out["method"] = method->scalar;
  describe_experts(out, folder);
  if (fs::exists(folder / "router.safetensors")) {
    Json router = Json::object();
    describe_tensors(router, *io::SafetensorsFile::open(folder / "router.safetensors"),
                     with_tensors);
    out["router"] = std::move(router);
  }
  if (fs::exists(folder / "prompts.safetensors")) out["prompts"] = describe_prompts(folder);
  if (const fs::path base = folder / "base.json"; fs::exists(base)) {
    out["base"] = Json::parse(read_file(base), nullptr, /*allow_exceptions=*/false);
    LMOE_CHECK_DATA(out["base"].is_object(), "[inspect] ", base.string(),
                    " is damaged: given something else, expected a JSON object");
  }
  out["manifest"] = is_complete ? "all files have the sizes and hashes it lists"
                                : "missing: this run is not finished";
  return out;
}

Json describe_adapter(const fs::path& folder, bool with_tensors) {
  const io::LoraFolder adapter = io::read_peft_folder(folder);
  Json out = {{"kind", "PEFT LoRA adapter"},
              {"path", folder.string()},
              {"rank", adapter.config.rank},
              {"alpha", adapter.config.alpha},
              {"target_modules", adapter.config.target_modules},
              {"base_model", adapter.config.base_model_name_or_path},
              {"modules", adapter.pairs.size()}};
  describe_tensors(out, *adapter.storage, with_tensors);
  return out;
}

Json describe_base(const std::string& name, bool with_tensors) {
  const auto base = arch::open_base_model(name);
  const arch::ModelConfig& c = base->config;
  Json out = {{"kind", "base model"},
              {"path", base->path},
              {"family", c.family},
              {"num_hidden_layers", c.num_hidden_layers},
              {"hidden_size", c.hidden_size},
              {"intermediate_size", c.intermediate_size},
              {"num_attention_heads", c.num_attention_heads},
              {"num_key_value_heads", c.num_key_value_heads},
              {"head_dim", c.head_dim},
              {"vocab_size", c.vocab_size},
              {"max_position_embeddings", c.max_position_embeddings},
              {"rope_theta", c.rope_theta},
              {"tie_word_embeddings", c.tie_word_embeddings},
              {"chat_template", base->chat_template.has_value()}};
  describe_tensors(out, *base->source, with_tensors);
  return out;
}

Json describe_tensor_file(const fs::path& path, bool with_tensors) {
  const auto file = io::SafetensorsFile::open(path);
  Json out = {{"kind", "safetensors"}, {"path", path.string()}, {"metadata", file->metadata()}};
  describe_tensors(out, *file, with_tensors);
  return out;
}

/// A file or folder of another kind; names and paths that do not exist are the model's to refuse.
void check_is_model(const fs::path& path) {
  std::error_code ignored;
  constexpr std::string_view kMagic = "GGUF";
  bool known = !fs::exists(path, ignored);
  if (fs::is_directory(path, ignored)) {
    known = fs::exists(path / "config.json", ignored);
  } else if (!known) {
    const MappedFile file(path);
    known = file.bytes().size() >= kMagic.size() &&
            std::memcmp(file.bytes().data(), kMagic.data(), kMagic.size()) == 0;
  }
  LMOE_CHECK_DATA(known, "[inspect] ", path.string(), " is nothing known: given a ",
                  fs::is_directory(path, ignored) ? "folder" : "file",
                  ", expected a GGUF or .safetensors file, or a folder with config.json (base "
                  "model), adapter_config.json (adapter) or mixture.yaml (run)");
}

void append_line(std::ostringstream& out,
                 const std::string& key,
                 const Json& value,
                 const std::string& indent) {
  if (value.is_object()) {
    out << indent << key << ":\n";
    for (const auto& [inner, item] : value.items()) append_line(out, inner, item, indent + "  ");
  } else if (value.is_array() && !value.empty() && value[0].is_object()) {
    out << indent << key << ":\n";
    for (const Json& item : value) {
      out << indent << " ";
      for (const auto& [inner, cell] : item.items()) {
        out << " " << (inner == "name" ? "" : inner + " ")
            << (cell.is_string() ? cell.get<std::string>() : cell.dump());
      }
      out << "\n";
    }
  } else {
    out << indent << key << ": " << (value.is_string() ? value.get<std::string>() : value.dump())
        << "\n";
  }
}

}  // namespace

Json inspect(const std::string& path, bool with_tensors) {
  const fs::path folder(path);
  std::error_code ignored;
  if (fs::exists(folder / "mixture.yaml", ignored)) return describe_run(folder, with_tensors);
  if (fs::exists(folder / "adapter_config.json", ignored))
    return describe_adapter(folder, with_tensors);
  if (fs::is_regular_file(folder, ignored) && folder.extension() == ".safetensors") {
    return describe_tensor_file(folder, with_tensors);
  }
  check_is_model(folder);
  return describe_base(path, with_tensors);
}

std::string inspection_text(const Json& inspection) {
  std::ostringstream out;
  for (const auto& [key, value] : inspection.items()) append_line(out, key, value, "");
  return out.str();
}

}  // namespace lmoe::cli
