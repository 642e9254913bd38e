#include "runner/loaded_model.h"

#include <ATen/ATen.h>

#include "base/cpu_features.h"
#include "base/error.h"
#include "runner/base_record.h"

namespace lmoe::runner {

at::ScalarType choose_dtype(ComputeType type) {
  const bool use_bf16 =
      type == ComputeType::kBf16 || (type == ComputeType::kAuto && bf16_support().is_fast);
  return use_bf16 ? at::kBFloat16 : at::kFloat;
}

std::unique_ptr<LoadedModel> load_model(const LoadOptions& options) {
  LMOE_CHECK_ARG(!options.base.empty() || options.run,
                 "[load_model] no model named: expected a base model, a run folder, or both");
  const Json record = options.run ? read_base_record(*options.run) : Json();
  auto model = std::make_unique<LoadedModel>();
  model->base = arch::open_base_model(options.base.empty() ? record["name"].get<std::string>()
                                                           : options.base);
  if (options.run) check_same_base(record, *model->base, *options.run);
  model->decoder = models::Decoder::load(*model->base, {choose_dtype(options.dtype)});
  if (options.run) {
    const auto& groups = model->decoder->projection_groups();
    model->mixture = mixture::Mixture::load(*options.run, groups);
    model->mixture->plug(groups);
  }
  model->steps = std::make_unique<TorchStepModel>(*model->decoder, model->mixture.get());
  return model;
}

}  // namespace lmoe::runner
