#include "runner/extract_adapter.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <set>

#include "arch/tensor_names.h"
#include "base/error.h"
#include "base/files.h"
#include "base/nearest.h"
#include "io/peft_folder.h"
#include "mixture/low_rank.h"
#include "nn/tensor_bytes.h"

namespace lmoe::runner {
namespace {

using arch::BaseModel;
using arch::ExpectedTensor;
using arch::TensorRole;

const std::vector<std::pair<std::string, TensorRole>>& projection_roles() {
  static const std::vector<std::pair<std::string, TensorRole>> kRoles = {
      {"q", TensorRole::kQ},      {"k", TensorRole::kK},       {"v", TensorRole::kV},
      {"o", TensorRole::kO},      {"gate", TensorRole::kGate}, {"up", TensorRole::kUp},
      {"down", TensorRole::kDown}};
  return kRoles;
}

std::set<TensorRole> chosen_roles(const std::vector<std::string>& names) {
  std::set<TensorRole> chosen;
  for (const std::string& name : names) {
    std::vector<std::string> known;
    for (const auto& [one, role] : projection_roles()) {
      known.push_back(one);
      if (one == name) chosen.insert(role);
    }
    LMOE_CHECK_ARG(std::find(known.begin(), known.end(), name) != known.end(),
                   "[extract] projections: given \"", name,
                   "\", expected some of q, k, v, o, gate, up, down");
  }
  LMOE_CHECK_ARG(!chosen.empty(),
                 "[extract] projections: given none, expected some of q, k, v, o, "
                 "gate, up, down");
  return chosen;
}

std::string name_of(const ExpectedTensor& tensor, const BaseModel& model) {
  return arch::huggingface_tensor_name(model.config, tensor.role, tensor.layer);
}

/// Every tensor of one is in the other, with the same shape.
void check_same_shapes(const BaseModel& base, const BaseModel& tuned) {
  const auto shapes = [](const BaseModel& model) {
    std::map<std::string, std::vector<int64_t>> all;
    for (const ExpectedTensor& tensor : arch::expected_tensors(model.config))
      all[name_of(tensor, model)] = tensor.shape;
    return all;
  };
  const auto own = shapes(base), other = shapes(tuned);
  for (const auto& [name, shape] : own) {
    const auto found = other.find(name);
    LMOE_CHECK_ARG(found != other.end(), "[extract] ", tuned.path, " has no ", name,
                   "; it was not trained from ", base.path);
    LMOE_CHECK_ARG(found->second == shape, "[extract] ", name, " differs in shape: ", tuned.path,
                   " has ", io::shape_text(found->second), ", ", base.path, " has ",
                   io::shape_text(shape), "; it was not trained from this base");
  }
  for (const auto& [name, shape] : other)
    LMOE_CHECK_ARG(own.count(name) != 0, "[extract] ", base.path, " has no ", name, ", which ",
                   tuned.path, " has");
}

at::Tensor read(BaseModel& model, const ExpectedTensor& tensor) {
  at::Tensor values = at::empty(tensor.shape, at::kFloat);
  model.read(tensor.role, tensor.layer, tensor.shape,
             {values.data_ptr<float>(), static_cast<size_t>(values.numel())});
  return values;
}

void check_rank(const ExpectedTensor& tensor, const BaseModel& model, int64_t rank) {
  const int64_t most = std::min(tensor.shape[0], tensor.shape[1]);
  LMOE_CHECK_ARG(rank >= 1 && rank <= most, "[extract] rank: given ", rank, ", expected 1 to ",
                 most, ", as ", name_of(tensor, model), " has shape ",
                 io::shape_text(tensor.shape));
}

/// The factors of all matrices; a folder is written from views of them.
class Adapter {
 public:
  explicit Adapter(int64_t rank) : rank_(rank) {}

  ExtractedMatrix add(const std::string& module, const at::Tensor& difference) {
    const mixture::LowRank low = mixture::low_rank(difference, rank_);
    pairs_.push_back({module, nn::view_of("lora_A", low.a), nn::view_of("lora_B", low.b)});
    storage_.push_back(low);
    return {module, low.norm, low.error};
  }

  void write(const fs::path& folder, const std::string& base_name) const {
    io::LoraConfig config;
    config.rank = rank_;
    config.alpha = static_cast<double>(rank_);
    config.base_model_name_or_path = base_name;
    std::set<std::string> targets;
    for (const io::LoraPair& pair : pairs_)
      targets.insert(pair.module.substr(pair.module.rfind('.') + 1));
    config.target_modules.assign(targets.begin(), targets.end());
    FolderWriter writer(folder);
    io::write_peft_folder(writer.path(), config, pairs_);
    writer.commit();
  }

 private:
  int64_t rank_;
  std::vector<mixture::LowRank> storage_;
  std::vector<io::LoraPair> pairs_;
};

}  // namespace

ExtractReport extract_adapter(BaseModel& base,
                              BaseModel& tuned,
                              const ExtractOptions& options,
                              const fs::path& folder) {
  const std::set<TensorRole> chosen = chosen_roles(options.projections);
  check_same_shapes(base, tuned);
  const std::vector<ExpectedTensor> tensors = arch::expected_tensors(base.config);
  for (const ExpectedTensor& tensor : tensors)
    if (chosen.count(tensor.role) != 0) check_rank(tensor, base, options.rank);

  ExtractReport report;
  Adapter adapter(options.rank);
  double norm = 0.0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const at::Tensor after = read(tuned, tensors[i]), before = read(base, tensors[i]);
    if (chosen.count(tensors[i].role) == 0) {
      if (!at::equal(after, before)) report.left_out.push_back(name_of(tensors[i], base));
    } else {
      const at::Tensor difference = after.to(at::kDouble).sub_(before);
      LMOE_CHECK_DATA(at::isfinite(difference).all().item<bool>(), "[extract] ",
                      name_of(tensors[i], base), " holds NaN or infinity");
      report.matrices.push_back(
          adapter.add(BaseModel::module_path(tensors[i].role, tensors[i].layer), difference));
      norm = std::max(norm, report.matrices.back().norm);
    }
    if (options.on_progress) options.on_progress(static_cast<int64_t>(i) + 1, std::ssize(tensors));
  }
  LMOE_CHECK_ARG(norm > 0.0, "[extract] ", tuned.path, " does not differ from ", base.path,
                 " in any of these projections");
  adapter.write(folder, base.name);
  return report;
}

}  // namespace lmoe::runner
