#include "cli/compare/study_plan.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "arch/base_model.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "cli/option_arguments.h"
#include "recipe/decoder_shape.h"
#include "spec/fit_parameters.h"
#include "spec/method_info.h"

namespace lmoe::cli {
namespace {

std::vector<std::string> split(const std::string& list, const char* key) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    parts.push_back(list.substr(begin, end - begin));
    LMOE_CHECK_ARG(!parts.back().empty(), "[compare] ", key, ": given \"", list,
                   "\", expected values with commas between them");
    LMOE_CHECK_ARG(std::count(parts.begin(), parts.end(), parts.back()) == 1, "[compare] ", key,
                   ": given ", parts.back(), " twice");
    begin = end + 1;
  }
  return parts;
}

double rate_of(const std::string& text) {
  double rate = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), rate);
  LMOE_CHECK_ARG(read.ec == std::errc{} && read.ptr == text.data() + text.size() && rate > 0,
                 "[compare] lr: given \"", text, "\", expected a positive number like 3e-4");
  return rate;
}

/// The settings of a command line by whom they are for.
struct Settings {
  std::vector<std::string> study, recipe;
  std::map<std::string, std::vector<std::string>> by_method;
};

Settings sort_settings(const std::vector<std::string>& all) {
  std::vector<std::string> own;
  for (const FieldInfo& info : describe_options<StudyOptions>()) own.push_back(info.name);
  Settings settings;
  for (const std::string& text : all) {
    const std::string key = text.substr(0, text.find('='));
    if (const size_t colon = key.find(':'); colon != std::string::npos) {
      settings.by_method[key.substr(0, colon)].push_back("mixture." + text.substr(colon + 1));
    } else if (std::find(own.begin(), own.end(), key) != own.end()) {
      settings.study.push_back(text);
    } else {
      const bool is_of_a_method = (key.starts_with("mixture.") || key.starts_with("lora_")) &&
                                  !key.ends_with("target_modules");
      LMOE_CHECK_ARG(!is_of_a_method, "[compare] ", key, " would change all methods: given ", text,
                     "; hint: METHOD:key=value changes one, as in l-moe:num_experts=4");
      settings.recipe.push_back(text);
    }
  }
  return settings;
}

/// The method's preset, with the targets of the recipe where it names some, and its own settings.
spec::MixtureSpec mixture_of(const std::string& method,
                             const recipe::Recipe& shared,
                             const std::vector<std::string>& changes) {
  const spec::MixtureSpec usual = spec::find_method(shared.mixture.method).preset();
  std::vector<std::string> overrides = {"mixture.method=" + method};
  if (shared.mixture.target_modules != usual.target_modules) {
    std::string targets;
    for (const std::string& target : shared.mixture.target_modules)
      targets += (targets.empty() ? "" : ", ") + target;
    overrides.push_back("mixture.target_modules=[" + targets + "]");
  }
  overrides.insert(overrides.end(), changes.begin(), changes.end());
  ReadReport report;
  return recipe::read_recipe("", overrides, report).mixture;
}

void plan_methods(StudyPlan& plan,
                  const StudyOptions& options,
                  const std::map<std::string, std::vector<std::string>>& changes) {
  LMOE_CHECK_ARG(!options.methods.empty(),
                 "[compare] methods is missing; hint: methods=lora,l-moe; see `lmoe methods`");
  const std::vector<std::string> names = split(options.methods, "methods");
  for (const auto& [name, list] : changes)
    LMOE_CHECK_ARG(std::find(names.begin(), names.end(), name) != names.end(), "[compare] ",
                   list.front().substr(sizeof("mixture.") - 1), " is for the method \"", name,
                   "\", which is not among methods=", options.methods);
  const auto base = arch::open_base_model(plan.shared.base_model);
  const spec::DecoderShape shape = recipe::decoder_shape(base->config);
  plan.parameters = options.parameters.value_or(0);
  for (const std::string& name : names) {
    const auto own = changes.find(name);
    PlannedMethod method{
        name,
        mixture_of(name, plan.shared,
                   own == changes.end() ? std::vector<std::string>{} : own->second),
        0};
    if (plan.parameters == 0) {
      plan.parameters = spec::mixture_cost(method.mixture, shape).parameters;
    } else {
      LMOE_CHECK_ARG(method.mixture.experts.rank == spec::find_method(name).preset().experts.rank,
                     "[compare] the rank of ", name, " follows from the ", plan.parameters,
                     " parameters every method gets: given rank ", method.mixture.experts.rank,
                     "; hint: parameters=…, or make it the first of methods");
      method.mixture = spec::fit_parameters(std::move(method.mixture), shape, plan.parameters);
    }
    method.parameters = spec::mixture_cost(method.mixture, shape).parameters;
    plan.methods.push_back(std::move(method));
  }
}

void plan_runs(StudyPlan& plan, int64_t seeds) {
  for (size_t m = 0; m < plan.methods.size(); ++m) {
    for (const std::string& rate : plan.rates) {
      for (int64_t s = 0; s < seeds; ++s) {
        PlannedRun run{m, rate, plan.shared.batch.seed + s, plan.shared};
        run.recipe.mixture = plan.methods[m].mixture;
        run.recipe.optimizer.learning_rate = rate_of(rate);
        run.recipe.batch.seed = run.seed;
        run.recipe.run.output_dir =
            (plan.out / concat(plan.methods[m].name, "-lr", rate, "-seed", run.seed)).string();
        plan.runs.push_back(std::move(run));
      }
    }
  }
}

/// A run that lies there already must be the one that is planned.
void check_same_run(const PlannedRun& run) {
  const fs::path path = run.folder() / "config_effective.json";
  if (!fs::exists(path)) return;
  const Json found = Json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  const Json wanted = recipe::effective_config(run.recipe);
  for (const auto& [key, value] : wanted.items())
    LMOE_CHECK_ARG(found.is_object() && found.contains(key) && found[key] == value, "[compare] ",
                   run.folder().string(), " holds a run of other settings: its ", key, " is ",
                   found.is_object() && found.contains(key) ? found[key].dump() : "unknown",
                   ", that of this study ", value.dump(), "; hint: out=… names another folder");
}

}  // namespace

StudyPlan plan_study(const fs::path& recipe, const std::vector<std::string>& settings) {
  const Settings sorted = sort_settings(settings);
  StudyOptions options;
  read_overrides(sorted.study, options);
  StudyPlan plan;
  ReadReport report;
  plan.shared = recipe::read_recipe(recipe, sorted.recipe, report);
  for (const std::string& note : report.notes) log().info("note: {}", note);
  LMOE_CHECK_ARG(!plan.shared.eval_datasets.empty(), "[compare] ", recipe.string(),
                 " has no eval_datasets to score the methods on");
  plan.out = options.out.empty() ? plan.shared.run.output_dir + "-compare" : options.out;
  plan.jobs = options.jobs;
  plan.shared.run.auto_resume_from_checkpoints = true;
  plan.shared.run.overwrite_output_dir = false;
  plan.shared.run.resume_from_checkpoint.reset();
  plan.shared.run.plot_loss = false;  // no first look: what is chosen is scored in full
  plan_methods(plan, options, sorted.by_method);
  if (options.lr.empty())
    plan.rates = {Json(plan.shared.optimizer.learning_rate).dump()};
  else
    plan.rates = split(options.lr, "lr");
  plan_runs(plan, options.seeds);
  for (const PlannedRun& run : plan.runs) check_same_run(run);
  return plan;
}

}  // namespace lmoe::cli
