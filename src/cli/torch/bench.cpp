// `lmoe bench train`: what a training step costs here, with its conditions.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "arch/base_model.h"
#include "base/rng.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "cli/torch/commands.h"
#include "mixture/mixture.h"
#include "models/decoder.h"
#include "recipe/decoder_shape.h"
#include "recipe/recipe.h"
#include "runner/loaded_model.h"
#include "spec/fit_parameters.h"
#include "train/document_caches.h"
#include "train/gradient_step.h"
#include "train/gradients.h"
#include "train/optimizer.h"
#include "train/step_report.h"

namespace lmoe::cli {
namespace {

struct BenchOptions {
  int64_t rows = 4, length = 512, steps = 5;
  int64_t parameters = 0;  ///< 0: those of the recipe's rank
  double labelled = 1.0;
  std::string dtype = "auto";
};

/// What mixtures are told that need to know tasks.
constexpr int32_t kTasks = 2;

/// Random ids; the last `labelled` share of each row carries loss.
std::vector<data::PackedRow> random_rows(const BenchOptions& options, int64_t vocab_size) {
  Rng rng(0);
  std::vector<data::PackedRow> rows(static_cast<size_t>(options.rows));
  for (data::PackedRow& row : rows) {
    const auto first =
        static_cast<int64_t>((1.0 - options.labelled) * static_cast<double>(options.length));
    for (int64_t i = 0; i < options.length; ++i) {
      row.ids.push_back(static_cast<int32_t>(rng.below(static_cast<uint64_t>(vocab_size))));
      row.labels.push_back(i >= std::max<int64_t>(first, 1) ? row.ids.back() : data::kIgnoreLabel);
    }
    const auto task = static_cast<int32_t>(&row - rows.data()) % kTasks;
    row.segments.push_back({0, static_cast<int32_t>(options.length), 0, 0, task});
  }
  return rows;
}

/// Seconds of each step after one that warms up.
std::vector<double> time_steps(const BenchOptions& options,
                               const models::Decoder& decoder,
                               const mixture::Mixture& mixture,
                               const recipe::Recipe& recipe) {
  const std::vector<data::PackedRow> rows = random_rows(options, decoder.config().vocab_size);
  const auto optimizer = train::make_optimizer(mixture.trained_parameters(), recipe.optimizer);
  train::DocumentCaches caches(recipe, decoder.config());
  Progress progress("bench train");
  std::vector<double> seconds;
  for (int64_t step = 0; step <= options.steps; ++step) {
    const auto begin = std::chrono::steady_clock::now();
    train::gather_gradients({.decoder = decoder,
                             .mixture = mixture,
                             .rows = rows,
                             .micro_batch_size = options.rows,
                             .first_pass_cache = caches.first_pass(),
                             .frozen_prefix_cache = caches.frozen_prefix(),
                             .gradient_checkpointing = recipe.batch.gradient_checkpointing});
    optimizer->step(1e-4);
    train::clear_gradients(optimizer->parameters());
    if (step > 0)
      seconds.push_back(
          std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    progress.update(step, options.steps);
  }
  progress.finish();
  return seconds;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int run_bench(const std::vector<std::string>& arguments) {
  CLI::App app{
      "Times training steps on random tokens; one step warms up. Settings of a recipe follow as "
      "key=value. With num_epochs=2 the steps are those of a later epoch: what a run keeps of each "
      "document is there.",
      "lmoe bench"};
  app.footer(
      "examples:\n  lmoe bench train\n  lmoe bench train mixture.method=lora "
      "mixture.experts.rank=64 --rows 2 --length 256");
  BenchOptions options;
  std::string what;
  bool as_json = false;
  app.add_option("what", what, "train")->required()->check(CLI::IsMember({"train"}));
  app.add_option("--rows", options.rows, "rows per step")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--length", options.length, "tokens per row")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  app.add_option("--steps", options.steps, "timed steps")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--labelled", options.labelled, "share of positions with loss")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--parameters", options.parameters,
                 "choose the rank that brings the trained parameters nearest to this")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  app.add_option("--dtype", options.dtype, "auto, float32 or bfloat16")->capture_default_str();
  app.add_flag("--json", as_json, "one line of JSON");
  std::vector<std::string> overrides;
  if (const ParseOutcome outcome = parse_arguments(app, arguments, &overrides); outcome.finished)
    return outcome.exit_code;

  ReadReport report;
  recipe::Recipe recipe = recipe::read_recipe("", overrides, report);
  const auto base = arch::open_base_model(recipe.base_model);
  const spec::DecoderShape shape = recipe::decoder_shape(base->config);
  if (options.parameters > 0)
    recipe.mixture = spec::fit_parameters(recipe.mixture, shape, options.parameters);
  const at::ScalarType dtype = runner::choose_dtype(runner::compute_type(options.dtype));
  const auto decoder = models::Decoder::load(*base, {.dtype = dtype});
  mixture::Mixture mixture(spec::with_tasks(recipe.mixture, kTasks), decoder->sockets(), 42);
  mixture.plug(decoder->sockets());
  mixture.advance_to(0.0);  // finished experts learn nothing

  const std::vector<double> seconds = time_steps(options, *decoder, mixture, recipe);
  const double step = median(seconds);
  const double speed = static_cast<double>(options.rows * options.length) / step;
  const int64_t peak = train::peak_memory_bytes();
  const std::string dtype_name = dtype == at::kBFloat16 ? "bf16" : "f32";
  if (as_json) {
    const Json result = {
        {"method", recipe.mixture.method},
        {"dtype", dtype_name},
        {"experts", recipe.mixture.experts.count},
        {"rank", recipe.mixture.experts.rank},
        {"trained_parameters", mixture.trained_parameter_count()},
        {"adapter_multiply_adds", spec::mixture_cost(recipe.mixture, shape).multiply_adds},
        {"seconds_per_step", step},
        {"seconds", seconds},
        {"tokens_per_second", speed},
        {"peak_memory_bytes", peak}};
    std::printf("%s\n", result.dump().c_str());
  } else {
    std::printf(
        "%s, %s, %lld x %lld tokens, %.0f %% labelled: %.2f s/step, %.0f tokens/s, %lld trained "
        "parameters, peak memory %s\n",
        recipe.mixture.method.c_str(), dtype_name.c_str(), static_cast<long long>(options.rows),
        static_cast<long long>(options.length), 100 * options.labelled, step, speed,
        static_cast<long long>(mixture.trained_parameter_count()),
        bytes_text(static_cast<double>(peak)).c_str());
  }
  return 0;
}

}  // namespace lmoe::cli
