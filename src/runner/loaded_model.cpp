#include "runner/loaded_model.h"

#include <ATen/ATen.h>

#include "base/cpu_features.h"
#include "base/error.h"
#include "io/checkpoints.h"
#include "runner/base_record.h"

namespace lmoe::runner {

ComputeType compute_type(const std::string& name) {
  if (name == "auto") return ComputeType::kAuto;
  if (name == "f32" || name == "float32") return ComputeType::kF32;
  if (name == "bf16" || name == "bfloat16") return ComputeType::kBf16;
  fail(ErrorCode::kInvalidArgument, "[arguments] unknown --dtype: given \"", name,
       "\", expected auto, float32 or bfloat16");
}

at::ScalarType choose_dtype(ComputeType type) {
  const bool use_bf16 =
      type == ComputeType::kBf16 || (type == ComputeType::kAuto && bf16_support().is_fast);
  return use_bf16 ? at::kBFloat16 : at::kFloat;
}

std::unique_ptr<LoadedModel> load_model(const LoadOptions& options) {
  LMOE_CHECK_ARG(!options.base.empty() || options.run,
                 "[load_model] no model named: expected a base model, a run folder, or both");
  auto model = std::make_unique<LoadedModel>();
  if (options.run) model->run = io::complete_run(*options.run);
  const Json record = model->run ? read_base_record(*model->run) : Json();
  model->base = arch::open_base_model(options.base.empty() ? record["name"].get<std::string>()
                                                           : options.base);
  if (model->run) check_same_base(record, *model->base, *model->run, options.on_hash);
  model->decoder =
      models::Decoder::load(*model->base, {choose_dtype(options.dtype), options.on_read});
  if (model->run) {
    const auto& groups = model->decoder->projection_groups();
    model->mixture = mixture::Mixture::load(*model->run, groups);
    model->mixture->plug(groups);
  }
  model->steps = std::make_unique<TorchStepModel>(*model->decoder, model->mixture.get());
  return model;
}

}  // namespace lmoe::runner
