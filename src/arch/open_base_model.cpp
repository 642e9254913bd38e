#include <set>

#include "arch/known_models.h"
#include "arch/open_model.h"
#include "arch/tensor_names.h"
#include "base/error.h"
#include "base/files.h"
#include "base/nearest.h"

namespace lmoe::arch {
namespace {

/// Tensors that some converters write and nothing needs: they follow from the configuration.
bool is_derived(const std::string& name) {
  return name == "rope_freqs.weight" || name.ends_with(".rotary_emb.inv_freq");
}

std::string list_missing(const BaseModel& model, std::set<std::string>& expected_names) {
  constexpr size_t kShown = 8;
  std::string missing;
  size_t count = 0;
  for (const ExpectedTensor& expected : expected_tensors(model.config)) {
    const std::string name = model.tensor_name(expected.role, expected.layer);
    expected_names.insert(name);
    const io::TensorView* tensor = model.source->find(name);
    if (tensor == nullptr) {
      if (++count <= kShown) missing += (missing.empty() ? "" : ", ") + name;
      continue;
    }
    LMOE_CHECK_DATA(tensor->shape == expected.shape, "[load_base] ", model.path, ": tensor ", name,
                    " has shape ", tensor->shape_text(), ", expected ",
                    io::shape_text(expected.shape), " from the configuration");
  }
  return count > kShown ? concat(missing, ", … (", count, " in all)") : missing;
}

std::unique_ptr<BaseModel> open_path(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    std::vector<std::string> known;
    std::string list;
    for (const auto& [name, file] : known_base_models()) {
      known.push_back(name);
      list += (list.empty() ? "" : ", ") + name;
    }
    const std::string nearest = nearest_name(path, known);
    fail(ErrorCode::kNotFound, "[load_base] no such model: given \"", path,
         "\", expected a GGUF file, a Hugging Face folder or one of ", list,
         nearest.empty() ? "" : "; nearest is \"" + nearest + "\"");
  }
  return fs::is_directory(status) ? open_huggingface_folder(path) : open_gguf_file(path);
}

}  // namespace

void check_inventory(BaseModel& model) {
  std::set<std::string> expected_names;
  const std::string missing = list_missing(model, expected_names);
  LMOE_CHECK_DATA(missing.empty(), "[load_base] ", model.path,
                  " lacks tensors that its configuration asks for: ", missing);
  std::string unknown;
  for (const std::string& name : model.source->names()) {
    const bool needless =
        is_derived(name) || (name == "lm_head.weight" && model.config.tie_word_embeddings);
    if (needless) model.source->ignore(name);
    if (!needless && expected_names.count(name) == 0 && unknown.size() < 400)
      unknown += (unknown.empty() ? "" : ", ") + name;
  }
  LMOE_CHECK_DATA(unknown.empty(), "[load_base] ", model.path,
                  " holds tensors that a model of the family ", model.config.family,
                  " with this configuration does not have: ", unknown);
}

std::unique_ptr<BaseModel> open_base_model(const std::string& name_or_path) {
  const std::string known = find_known_model(name_or_path);
  auto model = open_path(known.empty() ? name_or_path : known);
  model->name = name_or_path;
  return model;
}

}  // namespace lmoe::arch
