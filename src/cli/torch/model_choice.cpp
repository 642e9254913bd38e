#include "cli/torch/model_choice.h"

#include <CLI/CLI.hpp>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "cli/terminal.h"

namespace lmoe::cli {
namespace {

/// A file of the run; for a checkpoint also of the run it belongs to. Empty when there is none.
fs::path find_file(const fs::path& run, const char* name) {
  for (const fs::path& folder : {run, run.parent_path().parent_path()}) {
    if (!folder.empty() && fs::exists(folder / name)) return folder / name;
  }
  return {};
}

recipe::Recipe recipe_of(const fs::path& run) {
  const fs::path path = find_file(run, "config_effective.json");
  ReadReport report;
  if (path.empty()) return recipe::read_recipe({}, {}, report);
  return recipe::read_recipe(path, {}, report);
}

std::shared_ptr<const data::ChatEncoder> make_chat(const arch::BaseModel& base,
                                                   const fs::path& run) {
  std::string source = base.chat_template.value_or("");
  if (const fs::path path = run.empty() ? fs::path() : find_file(run, "chat_template.jinja");
      !path.empty())
    source = read_file(path);
  if (source.empty()) return nullptr;
  const Json globals = {{"bos_token", base.bos_token}, {"eos_token", base.eos_token}};
  return std::make_shared<data::ChatEncoder>(base.tokenizer, source, globals);
}

}  // namespace

void ModelChoice::add_to(CLI::App& app) {
  app.add_option("run", run, "a run folder, a checkpoint of it, or the recipe that made it");
  app.add_option("--base", base, "a base model instead of, or other than, the run's");
  app.add_option("--dtype", dtype, "auto, float32 or bfloat16");
}

fs::path run_folder(const std::string& run) {
  fs::path path = run;
  const std::string extension = path.extension().string();
  if (fs::is_regular_file(path) && (extension == ".yaml" || extension == ".yml")) {
    ReadReport report;
    fs::path output = recipe::read_recipe(path, {}, report).run.output_dir;
    if (!fs::is_directory(output))
      fail(ErrorCode::kNotFound, "[load] ", run,
           " was not trained yet: given a recipe, expected its run in ", output.string(),
           "; hint: lmoe train ", run);
    return output;
  }
  if (!fs::is_directory(path))
    fail(ErrorCode::kNotFound, "[load] no such run: given \"", run,
         "\", expected a run folder, a checkpoint of it or its recipe; hint: a base model is named "
         "with --base");
  return path;
}

ChosenModel open_model(const ModelChoice& choice) {
  LMOE_CHECK_ARG(
      !choice.run.empty() || !choice.base.empty(),
      "[arguments] no model: given none, expected a run folder, or a base model with --base");
  ChosenModel model;
  runner::LoadOptions options{.base = choice.base, .dtype = runner::compute_type(choice.dtype)};
  if (!choice.run.empty()) {
    model.run = run_folder(choice.run);
    model.recipe = recipe_of(model.run);
    options.run = model.run;
    LMOE_CHECK_ARG(
        choice.takes_reward_models || model.recipe.objective.kind != recipe::Objective::kPreference,
        "[load] ", choice.run,
        " is a reward model, which judges answers and makes none: expected a run with "
        "objective language_model; hint: lmoe eval ",
        choice.run, " --data pairs.jsonl");
  }
  model.name = model.run.empty() ? choice.base : model.run.lexically_normal().string();
  // The base of a run is checked before it is read.
  bool is_reading = model.run.empty();
  std::optional<Progress> phase;
  phase.emplace((is_reading ? "reading " : "checking ") + model.name, Progress::Unit::kBytes);
  options.on_hash = [&](int64_t done, int64_t total) { phase->update(done, total); };
  options.on_read = [&](int64_t done, int64_t total) {
    if (!is_reading) {
      phase->finish();
      phase.emplace("reading " + model.name, Progress::Unit::kBytes);
      is_reading = true;
    }
    phase->update(done, total);
  };
  model.loaded = runner::load_model(options);
  const arch::BaseModel& base = *model.loaded->base;
  model.chat = make_chat(base, model.loaded->run.value_or(fs::path()));
  model.renderer = std::make_unique<data::Renderer>(base.tokenizer, model.chat, model.recipe.data,
                                                    base.end_tokens());
  phase->finish();
  return model;
}

}  // namespace lmoe::cli
