// What a training run stands on, opened in the order in which mistakes are
// cheapest to find: data before weights.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "arch/base_model.h"
#include "data/encoded_dataset.h"
#include "data/packing.h"
#include "data/render.h"
#include "data/row_stream.h"
#include "eval/eval_task.h"
#include "mixture/mixture.h"
#include "models/decoder.h"
#include "nn/reward_head.h"
#include "recipe/recipe.h"

namespace lmoe::cli {

/// Tokenizer, template and rendered data; no weights yet.
struct DataSetup {
  std::unique_ptr<arch::BaseModel> base;
  std::unique_ptr<data::Renderer> renderer;
  data::TrainingData training;
  std::unique_ptr<data::RowStream> rows;
  std::vector<data::PackedRow> validation_rows;
  std::vector<eval::EvalTask> first_look;  ///< what is scored right after training
};

/// Opens the base, renders and packs the data, opens eval_datasets too, and
/// says on stderr what it found. Throws as the rooms do.
DataSetup prepare_data(const recipe::Recipe& recipe);

/// The frozen decoder with a fresh mixture plugged in, and the head where the objective has one.
struct ModelSetup {
  std::unique_ptr<models::Decoder> decoder;
  std::unique_ptr<mixture::Mixture> mixture;
  std::unique_ptr<nn::RewardHead> reward_head;
};

/// Numbers that are trained, those of the head included.
int64_t trained_count(const ModelSetup& model);

ModelSetup prepare_model(const recipe::Recipe& recipe, const DataSetup& data);

/// Fills the mixture from the adapters that its spec names and from the run that the recipe's
/// init_from names, if they name any, the reward heads from the run of init_reward_head; the keys
/// of a bank of prompts begin as prototypes of the training data. Throws kInvalidArgument for a run
/// of another base or with another mixture, and for experts or entries of a bank that neither begin
/// as anything nor learn.
void start_from_finished(const recipe::Recipe& recipe, const DataSetup& data, ModelSetup& model);

/// The recipe with limits of caches no larger than what its data can fill, for forecasts of memory.
recipe::Recipe with_fillable_caches(recipe::Recipe recipe, const DataSetup& data);

/// Bytes per element of frozen weights and activations for this recipe on this
/// machine.
int64_t element_bytes(const recipe::Recipe& recipe);

/// Of what `base` holds; reads all of it, and shows how far it is.
arch::ContentHash hash_base(const arch::BaseModel& base);

/// tokenizer.json, chat_template.jinja, base.json: what travels with a run. `hash` is that of
/// `base`.
std::map<std::string, std::string> side_files(const recipe::Recipe& recipe,
                                              const arch::BaseModel& base,
                                              const arch::ContentHash& hash);

/// The template a recipe renders with: its own (a file or Jinja text) or the
/// base's; empty when there is none.
std::string chat_template_source(const recipe::Recipe& recipe, const arch::BaseModel& base);

}  // namespace lmoe::cli
