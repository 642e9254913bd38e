#include "runner/loaded_model.h"

#include <ATen/ATen.h>

#include "base/cpu_features.h"
#include "base/error.h"
#include "base/files.h"
#include "io/checkpoints.h"
#include "mixture/moe_peft_folder.h"
#include "mixture/x_lora_folder.h"
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

namespace {

bool is_foreign(const fs::path& folder) {
  return mixture::is_moe_peft_folder(folder) || mixture::is_x_lora_folder(folder);
}

/// Folders of other packages have neither manifest nor base.json; the base is the one the user
/// names.
void load_foreign(LoadedModel& model, const LoadOptions& options) {
  LMOE_CHECK_ARG(!options.base.empty(), "[load_model] ", options.run->string(),
                 " does not say which base it belongs to; hint: --base");
  model.base = arch::open_base_model(options.base);
  model.decoder =
      models::Decoder::load(*model.base, {choose_dtype(options.dtype), options.on_read});
  const nn::Sockets& sockets = model.decoder->sockets();
  model.mixture = mixture::is_x_lora_folder(*options.run)
                      ? mixture::load_x_lora_folder(*options.run, sockets)
                      : mixture::load_moe_peft_folder(*options.run, sockets);
}

void load_run(LoadedModel& model, const LoadOptions& options) {
  const fs::path run = io::complete_run(*options.run);
  const Json record = read_base_record(run);
  model.base = arch::open_base_model(options.base.empty() ? record["name"].get<std::string>()
                                                          : options.base);
  check_same_base(record, *model.base, run, options.on_hash);
  model.decoder = models::Decoder::load(
      *model.base, {choose_dtype(options.dtype), options.on_read, frozen_weights_of(record)});
  model.mixture = mixture::Mixture::load(run, model.decoder->sockets());
  if (const fs::path head = nn::reward_head_file(run); fs::exists(head))
    model.reward_head = nn::RewardHead::load(head);
  model.run = run;
}

void load_base(LoadedModel& model, const LoadOptions& options) {
  LMOE_CHECK_ARG(!options.base.empty(),
                 "[load_model] no model named: expected a base model, a run folder, or both");
  model.base = arch::open_base_model(options.base);
  model.decoder =
      models::Decoder::load(*model.base, {choose_dtype(options.dtype), options.on_read});
}

}  // namespace

std::unique_ptr<LoadedModel> load_model(const LoadOptions& options) {
  auto model = std::make_unique<LoadedModel>();
  if (!options.run)
    load_base(*model, options);
  else if (is_foreign(*options.run))
    load_foreign(*model, options);
  else
    load_run(*model, options);
  if (model->mixture) model->mixture->plug(model->decoder->sockets());
  model->steps = std::make_unique<TorchStepModel>(*model->decoder, model->mixture.get(),
                                                  model->reward_head.get());
  return model;
}

}  // namespace lmoe::runner
