// A recipe: the one file that drives train, chat, eval and the rest.
//
//   ReadReport report;
//   Recipe recipe = read_recipe("recipes/l-moe.yaml", {"mixture.num_experts=8"}, report);
//   recipe.optimizer.learning_rate …
//
// Keys are flat except `datasets`, `eval_datasets` and `mixture`; names are axolotl's, those of
// other tools are aliases. Anything unknown, out of range or unable to act is an error.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/options.h"
#include "data/dataset_options.h"
#include "recipe/batch_options.h"
#include "recipe/objective_options.h"
#include "recipe/optimizer_options.h"
#include "recipe/run_options.h"
#include "spec/mixture_spec.h"

namespace lmoe::recipe {

struct Recipe {
  std::string base_model = "smollm2-135m";
  std::string chat_template;  ///< Jinja source or the path of a file; empty: the base's own
  data::DataOptions data;
  int64_t max_samples = 0;  ///< applied to every data set that has none of its own
  ObjectiveOptions objective;
  BatchOptions batch;
  OptimizerOptions optimizer;
  RunOptions run;
  std::vector<data::DatasetOptions> eval_datasets;
  std::vector<std::string> tasks;
  spec::MixtureSpec mixture;

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("base_model", base_model, "folder, GGUF file or known name of the frozen model")
              .section("model")
              .alias("model_name_or_path")
              .alias("model")
              .alias("base_model_name_or_path"));
    visit(field("chat_template", chat_template,
                "template to render conversations with: a file or Jinja text; default: the base's")
              .section("model")
              .alias("template"));
    data.for_each_field(visit);
    visit(field("max_samples", max_samples, "take the first n records of each data set; 0: all")
              .section("data")
              .range(0));
    objective.for_each_field(visit);
    batch.for_each_field(visit);
    optimizer.for_each_field(visit);
    run.for_each_field(visit);
    visit(field("eval_datasets", eval_datasets,
                "what `lmoe eval` scores without --data; the first look after training takes "
                "`datasets` when there are none")
              .section("evaluation")
              .alias("test_datasets"));
    visit(field("tasks", tasks, "names of the data sets `lmoe eval` scores; default: all")
              .section("evaluation"));
    visit(field("mixture", mixture, "experts, gate, selection, losses; see `lmoe methods`")
              .section("mixture"));
  }
};

/// Whether the task of a document alone says which experts it has (gate.source task_id, net self).
bool is_routed_by_task(const spec::MixtureSpec& mixture);

/// Of objective preference: one for each task where tasks alone decide about experts, else one.
int64_t reward_heads(const Recipe& recipe);

/// Reads a file, then `key=value` overrides on top (they win, also under another spelling of the
/// key). An empty path starts from nothing. `lora_*` keys and `adapter` reach `mixture`. Throws
/// kInvalidArgument, kNotFound or kUnsupported with file and line.
Recipe read_recipe(const std::filesystem::path& path,
                   const std::vector<std::string>& overrides,
                   ReadReport& report);

/// Every key with its value; reading it again gives the same recipe.
Json effective_config(const Recipe& recipe);

/// Every key a recipe may have, with type, default, range, help and aliases.
std::vector<FieldInfo> recipe_schema();

}  // namespace lmoe::recipe
