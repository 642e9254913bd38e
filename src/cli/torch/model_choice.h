// The model that eval, score, generate and chat use: a run, or a base alone.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "data/chat_encoder.h"
#include "data/render.h"
#include "recipe/recipe.h"
#include "runner/loaded_model.h"

namespace CLI {
class App;
}

namespace lmoe::cli {

/// What a user names. `run` is a run folder, one of its checkpoints, or the recipe that made it.
struct ModelChoice {
  std::string run;
  std::string base;
  std::string dtype = "auto";
  bool takes_reward_models = false;  ///< others than eval want a model that makes tokens

  /// RUN as the first argument, --base and --dtype.
  void add_to(CLI::App& app);
};

struct ChosenModel {
  std::string name;           ///< for people and for `model` of results
  std::filesystem::path run;  ///< empty without one
  recipe::Recipe recipe;      ///< the run's; defaults without one
  std::unique_ptr<runner::LoadedModel> loaded;
  std::shared_ptr<const data::ChatEncoder> chat;  ///< null when there is no template
  std::unique_ptr<data::Renderer> renderer;

  decode::StepModel& steps() { return *loaded->steps; }
  const text::Tokenizer& tokenizer() const { return *loaded->base->tokenizer; }
};

/// Throws kInvalidArgument when neither or an unknown dtype is given, or a reward model to a verb
/// that takes none; kNotFound, kCorruptData.
ChosenModel open_model(const ModelChoice& choice);

/// The folder that a run, a checkpoint or a recipe file means. Throws kNotFound.
std::filesystem::path run_folder(const std::string& run);

}  // namespace lmoe::cli
