// A training run of a few thousand random weights, built in code.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/rng.h"
#include "data/preference.h"
#include "spec/method_info.h"
#include "support/temp_folder.h"
#include "support/tiny_decoder.h"
#include "train/objective.h"
#include "train/trainer.h"

namespace lmoe::train {

/// Sequences that count up from a random start, with a prompt of random length without loss: easy
/// to learn, and of unequal length.
inline data::EncodedDataset counting_dataset(int64_t examples = 60, uint64_t seed = 3) {
  data::EncodedDataset dataset;
  dataset.name = "counting";
  Rng rng(seed);
  for (int64_t n = 0; n < examples; ++n) {
    data::Example example;
    example.line = n + 1;
    const auto start = static_cast<int32_t>(rng.below(40));
    const auto length = static_cast<int32_t>(4 + rng.below(9));
    const auto prompt = static_cast<int32_t>(1 + rng.below(3));
    for (int32_t i = 0; i < length; ++i) {
      example.ids.push_back((start + i) % 50);
      example.labels.push_back(i < prompt ? data::kIgnoreLabel : example.ids.back());
    }
    dataset.examples.push_back(std::move(example));
  }
  return dataset;
}

/// Pairs of a sequence that counts up and one of random numbers after the same prompt, which end in
/// tokens of their own; the longer side is now the one, now the other.
inline data::EncodedDataset preference_dataset(int64_t pairs = 60,
                                               int32_t task = 0,
                                               uint64_t seed = 4) {
  data::EncodedDataset dataset;
  dataset.name = "preferences";
  dataset.type = data::RecordType::kPreference;
  dataset.task = task;
  Rng rng(seed);
  for (int64_t n = 0; n < pairs; ++n) {
    data::Example chosen, rejected;
    chosen.line = n + 1;
    const auto start = static_cast<int32_t>(rng.below(40));
    for (uint64_t i = 0, length = 4 + rng.below(6); i < length; ++i)
      chosen.ids.push_back((start + static_cast<int32_t>(i)) % 50);
    rejected.ids = {chosen.ids[0], chosen.ids[1]};
    for (uint64_t i = 0, length = 2 + rng.below(6); i < length; ++i)
      rejected.ids.push_back(static_cast<int32_t>(rng.below(50)));
    chosen.ids.push_back(48);
    rejected.ids.push_back(49);
    dataset.examples.push_back(data::join_sides(chosen, rejected));
  }
  return dataset;
}

inline recipe::Recipe tiny_recipe(const fs::path& output_dir, const std::string& method = "l-moe") {
  recipe::Recipe recipe;
  recipe.base_model = "tiny";
  recipe.mixture = spec::find_method(method).preset();
  if (recipe.mixture.has_gate()) recipe.mixture.experts.count = 3;
  recipe.mixture.experts.rank = 2;
  recipe.mixture.experts.dropout = 0.1;
  recipe.data.sequence_len = 24;
  recipe.batch.micro_batch_size = 2;
  recipe.batch.gradient_accumulation_steps = 2;
  recipe.batch.max_steps = 8;
  recipe.optimizer.learning_rate = 5e-3;
  recipe.optimizer.weight_decay = 0.01;
  recipe.run.output_dir = output_dir.string();
  recipe.run.saves_per_epoch.reset();
  return recipe;
}

/// What is trained in the loop's tests: "lora", "dora", "l-moe", "top-k", "factors", "remix",
/// "mixlora-switch", "x-lora", "scalezero", with gates that read the "embedding", l-moe by "sgd" or
/// "sgd-momentum", in the "upper" layer alone, with layers that are "recomputed", or with "prompts"
/// beside experts in the upper layer, or both; with "/bf16" on a frozen model in bfloat16.
inline recipe::Recipe variant_recipe(const fs::path& output_dir, const std::string& variant) {
  const std::string kind = variant.substr(0, variant.find('/'));
  const bool is_method = kind == "lora" || kind == "dora" || kind == "remix" || kind == "x-lora" ||
                         kind == "scalezero";
  recipe::Recipe recipe = tiny_recipe(output_dir, is_method ? kind : "l-moe");
  if (kind == "remix") recipe.mixture.select.k = 2;
  if (kind == "x-lora") recipe.mixture.schedule.freeze_experts = false;
  if (kind == "top-k") {
    recipe.mixture.select = {spec::SelectKind::kTopK, 2};
    recipe.mixture.normalize = spec::Normalize::kRenormalize;
  }
  if (kind == "mixlora-switch") {
    recipe.mixture = spec::find_method(kind).preset();
    recipe.mixture.experts.count = 3;
    recipe.mixture.experts.rank = recipe.mixture.plain.rank = 2;
    recipe.mixture.select.capacity = 6;
  }
  if (kind == "embedding") {
    recipe.mixture.gate.source = spec::GateSource::kEmbedding;
    recipe.mixture.gate.share = spec::GateShare::kModel;
    recipe.mixture.gate.layerwise = false;
  }
  if (kind == "upper") recipe.mixture.layers_to_transform = {1};
  if (kind.ends_with("recomputed")) recipe.batch.gradient_checkpointing = true;
  if (kind.starts_with("prompts")) {
    recipe.mixture.layers_to_transform = {1};
    recipe.mixture.prompts = {.count = 5, .length = 2, .select = 2};
  }
  if (kind.starts_with("sgd")) recipe.optimizer.optimizer = recipe::Optimizer::kSgd;
  if (kind == "sgd-momentum") recipe.optimizer.sgd_momentum = 0.9;
  if (kind == "factors") recipe.mixture.apply = spec::Apply::kFactors;
  if (variant != kind) recipe.batch.bf16 = recipe::Bf16::kTrue;
  return recipe;
}

/// The variant as the name of a test.
inline std::string variant_name(const ::testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  for (char& c : name) c = c == '-' || c == '/' ? '_' : c;
  return name;
}

inline auto all_variants() {
  return ::testing::Values("lora", "dora", "l-moe", "top-k", "factors", "remix", "mixlora-switch",
                           "x-lora", "scalezero", "embedding", "upper", "recomputed", "lora/bf16",
                           "dora/bf16", "l-moe/bf16", "top-k/bf16", "factors/bf16", "remix/bf16",
                           "mixlora-switch/bf16", "x-lora/bf16", "prompts", "prompts-recomputed",
                           "prompts/bf16");
}

/// Everything a job needs; `recipe` may be changed before `start`.
class TinyRun {
 public:
  explicit TinyRun(recipe::Recipe run_recipe,
                   std::vector<data::EncodedDataset> data = {counting_dataset()})
      : recipe(std::move(run_recipe)), datasets(std::move(data)) {
    at::set_num_threads(1);  // threads that wait for each other cost more than such small tensors
    put_on(test::tiny_decoder(test::tiny_config(), recipe.batch.bf16 == recipe::Bf16::kTrue
                                                       ? at::kBFloat16
                                                       : at::kFloat));
    reward_head = make_reward_head(recipe, decoder->config().hidden_size);
    data::StreamOptions options;
    options.sequence_len = recipe.data.sequence_len;
    options.seed = static_cast<uint64_t>(recipe.batch.seed);
    options.prompt_positions = recipe.mixture.prompts.positions();
    rows = std::make_unique<data::RowStream>(datasets, options);
  }

  /// With a fresh mixture, as the recipe has it.
  void put_on(std::unique_ptr<models::Decoder> base_model) {
    mixture.reset();
    decoder = std::move(base_model);
    mixture = std::make_unique<mixture::Mixture>(recipe.mixture, decoder->sockets(),
                                                 static_cast<uint64_t>(recipe.batch.seed));
    mixture->plug(decoder->sockets());
  }

  TrainResult start(const TrainCallbacks& callbacks = {}) {
    RunFolder folder(recipe.run);
    return train({recipe,
                  folder,
                  *decoder,
                  *mixture,
                  *rows,
                  base,
                  {{"base.json", "{}\n"}},
                  reward_head.get()},
                 callbacks);
  }

  /// The error of `start`, or fails.
  Error error_of_start(const TrainCallbacks& callbacks = {}) {
    try {
      start(callbacks);
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorCode::kInternal, "no error");
  }

  std::vector<at::Tensor> values() const {
    std::vector<at::Tensor> copies;
    for (const nn::NamedTensor& parameter : mixture->parameters())
      copies.push_back(parameter.tensor.detach().clone());
    if (reward_head)
      for (const nn::NamedTensor& parameter : reward_head->parameters())
        copies.push_back(parameter.tensor.detach().clone());
    return copies;
  }

  recipe::Recipe recipe;
  std::vector<data::EncodedDataset> datasets;
  std::unique_ptr<models::Decoder> decoder;
  std::unique_ptr<mixture::Mixture> mixture;
  std::unique_ptr<nn::RewardHead> reward_head;  ///< with objective preference
  std::unique_ptr<data::RowStream> rows;
  BaseIdentity base = {"tiny", {std::string(64, 'a'), std::string(64, 'c')}};
};

inline bool same_bits(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (!at::equal(a[i], b[i])) return false;
  return true;
}

/// The lines of log.jsonl without what depends on the clock and the machine.
inline std::vector<std::string> timeless_log(const fs::path& run) {
  std::vector<std::string> lines;
  std::istringstream text(read_file(run / "log.jsonl"));
  for (std::string line; std::getline(text, line);) {
    Json json = Json::parse(line);
    for (const char* key :
         {"elapsed_time", "elapsed_seconds", "remaining_time", "throughput", "peak_memory_bytes"})
      json.erase(key);
    lines.push_back(json.dump());
  }
  return lines;
}

}  // namespace lmoe::train
