#include "train/trainer_state.h"

#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"

namespace lmoe::train {
namespace {

constexpr int kFormat = 4;

/// Keys that say where, how often and how results are kept, or that another check covers; all
/// others decide what is learned.
const std::set<std::string>& keys_that_may_differ() {
  static const std::set<std::string> kKeys = {"base_model",
                                              "datasets",
                                              "output_dir",
                                              "save_steps",
                                              "saves_per_epoch",
                                              "save_total_limit",
                                              "eval_steps",
                                              "evals_per_epoch",
                                              "logging_steps",
                                              "plot_loss",
                                              "eval_datasets",
                                              "overwrite_output_dir",
                                              "tasks",
                                              "report_to",
                                              "resume_from_checkpoint",
                                              "bf16",
                                              "frozen_weights",
                                              "num_epochs",
                                              "max_steps",
                                              "loss_watchdog_threshold",
                                              "loss_watchdog_patience",
                                              "auto_resume_from_checkpoints",
                                              "first_pass_cache_mb",
                                              "frozen_prefix_cache_mb",
                                              "document_cache_file_mb",
                                              "document_cache_dir",
                                              "gradient_checkpointing"};
  return kKeys;
}

/// Path of the first key whose values differ, or empty.
std::string first_difference(const Json& saved, const Json& now, const std::string& path) {
  if (saved == now) return "";
  if (!saved.is_object() || !now.is_object()) return path;
  std::set<std::string> keys;
  for (const auto& item : saved.items()) keys.insert(item.key());
  for (const auto& item : now.items()) keys.insert(item.key());
  for (const std::string& key : keys) {
    if (path.empty() && keys_that_may_differ().count(key) > 0) continue;
    const std::string inner = path.empty() ? key : concat(path, ".", key);
    std::string found = first_difference(saved.value(key, Json()), now.value(key, Json()), inner);
    if (!found.empty()) return found;
  }
  return "";
}

Json at_path(const Json& config, const std::string& path) {
  const Json* node = &config;
  for (size_t begin = 0; begin <= path.size() && node->is_object();) {
    const size_t dot = std::min(path.find('.', begin), path.size());
    const auto found = node->find(path.substr(begin, dot - begin));
    if (found == node->end()) return nullptr;
    node = &*found;
    begin = dot + 1;
  }
  return *node;
}

constexpr const char* kFrozenKey = "frozen_weights";
constexpr const char* kRoundedKey = "rounded_to";

std::optional<arch::FrozenWeights> rounding_of(const Json& name) {
  if (name.is_null()) return std::nullopt;
  for (const auto& [known, value] : enum_names(arch::FrozenWeights()))
    if (name == known) return value;
  fail(ErrorCode::kCorruptData, kRoundedKey, ": given ", name.dump());
}

std::string values_text(std::optional<arch::FrozenWeights> rounded_to) {
  return rounded_to ? concat("values rounded to ", enum_name(*rounded_to)) : "the file's values";
}

/// Weights kept in another way are the same base as long as their values are.
void check_frozen_weights(const TrainerState& saved, const TrainerState& now) {
  const auto name = [](const Json& config) {  // not there before it could be chosen
    const Json value = at_path(config, kFrozenKey);
    return value.is_string() ? value.get<std::string>() : enum_name(arch::FrozenWeights::kDense);
  };
  const std::string before = name(saved.config), after = name(now.config);
  if (before == after) return;
  LMOE_CHECK_ARG(saved.rounded_to == now.rounded_to, "[resume] ", kFrozenKey,
                 " differs: checkpoint ", before, ", ", values_text(saved.rounded_to), "; given ",
                 after, ", ", values_text(now.rounded_to),
                 ", which are another base; hint: ", kFrozenKey, "=", before);
  if (now.dtype == "BFloat16")
    log().warn(
        "resuming with frozen_weights {}, the checkpoint was made with {}: in bfloat16 the last "
        "bits of the head's products may differ",
        after, before);
}

}  // namespace

Json write_trainer_state(const TrainerState& state) {
  return {{"format", kFormat},
          {"step", state.step},
          {"total_steps", state.total_steps},
          {"total_tokens", state.total_tokens},
          {"labelled_tokens", state.labelled_tokens},
          {"watchdog_count", state.watchdog_count},
          {"elapsed_seconds", state.elapsed_seconds},
          {"data", state.data},
          {"base_name", state.base_name},
          {"base_weights", state.base_hash.weights},
          {"base_tokenizer", state.base_hash.tokenizer},
          {kRoundedKey, state.rounded_to ? Json(enum_name(*state.rounded_to)) : Json()},
          {"dtype", state.dtype},
          {"threads", state.threads},
          {"kernels", state.kernels},
          {"config", state.config}};
}

TrainerState read_trainer_state(const std::filesystem::path& checkpoint) {
  const std::filesystem::path path = checkpoint / "trainer_state.json";
  const std::string text = read_file(path);
  TrainerState state;
  try {
    const Json json = Json::parse(text);
    LMOE_CHECK_DATA(json.at("format") == kFormat, "format: given ", json.at("format").dump(),
                    ", expected ", kFormat);
    json.at("step").get_to(state.step);
    json.at("total_steps").get_to(state.total_steps);
    json.at("total_tokens").get_to(state.total_tokens);
    json.at("labelled_tokens").get_to(state.labelled_tokens);
    json.at("watchdog_count").get_to(state.watchdog_count);
    json.at("elapsed_seconds").get_to(state.elapsed_seconds);
    json.at("base_name").get_to(state.base_name);
    json.at("base_weights").get_to(state.base_hash.weights);
    json.at("base_tokenizer").get_to(state.base_hash.tokenizer);
    state.rounded_to = rounding_of(json.at(kRoundedKey));
    json.at("dtype").get_to(state.dtype);
    json.at("threads").get_to(state.threads);
    json.at("kernels").get_to(state.kernels);
    state.data = json.at("data");
    state.config = json.at("config");
    LMOE_CHECK_DATA(state.step >= 0 && state.step <= state.total_steps, "step: given ", state.step,
                    ", expected 0 to ", state.total_steps);
  } catch (const Json::exception& error) {
    fail(ErrorCode::kCorruptData, "[resume] ", path.string(), ": ",
         without_operation(error.what()));
  } catch (const Error& error) {
    fail(ErrorCode::kCorruptData, "[resume] ", path.string(), ": ", error.what());
  }
  return state;
}

void check_same_run(const TrainerState& saved, const TrainerState& now) {
  const std::string other = difference(saved.base_hash, now.base_hash);
  LMOE_CHECK_ARG(other.empty(), "[resume] base model differs: the SHA-256 of the ", other, " of ",
                 now.base_name, " is not that of the checkpoint's base, ", saved.base_name);
  LMOE_CHECK_ARG(saved.dtype == now.dtype, "[resume] type of the frozen model differs: checkpoint ",
                 saved.dtype, ", given ", now.dtype, "; hint: set bf16");
  check_frozen_weights(saved, now);
  const std::string key = first_difference(saved.config, now.config, "");
  LMOE_CHECK_ARG(key.empty(), "[resume] recipe differs: ", key, ": checkpoint ",
                 at_path(saved.config, key).dump(), ", given ", at_path(now.config, key).dump(),
                 "; hint: a changed recipe is a new run with another output_dir");
  LMOE_CHECK_ARG(saved.total_steps == now.total_steps,
                 "[resume] number of steps differs: checkpoint ", saved.total_steps, ", given ",
                 now.total_steps,
                 "; hint: num_epochs and max_steps set the learning rate's course");
  if (saved.threads != now.threads)
    log().warn(
        "resuming with {} threads, the checkpoint was made with {}: the last bits of sums may "
        "differ",
        now.threads, saved.threads);
  if (saved.kernels != now.kernels)
    log().warn(
        "resuming with the kernels of {}, the checkpoint was made with those of {}: the last bits "
        "of sums may differ; hint: LMOE_KERNELS={}",
        now.kernels, saved.kernels, saved.kernels);
}

}  // namespace lmoe::train
