// `lmoe bench train`: what a training step costs here, with its conditions. `lmoe bench --tune` is
// bench_tune.h.
#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>

#include "arch/base_model.h"
#include "arch/weight_inventory.h"
#include "base/cpu_features.h"
#include "base/rng.h"
#include "base/timing.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "cli/torch/bench_tune.h"
#include "cli/torch/commands.h"
#include "cli/torch/keep_memory.h"
#include "kernels/target.h"
#include "mixture/mixture.h"
#include "models/decoder.h"
#include "nn/part_times.h"
#include "recipe/decoder_shape.h"
#include "recipe/recipe.h"
#include "runner/loaded_model.h"
#include "spec/fit_parameters.h"
#include "train/document_caches.h"
#include "train/gradient_step.h"
#include "train/gradients.h"
#include "train/memory_forecast.h"
#include "train/optimizer.h"
#include "train/step_report.h"
#include "train/step_work.h"

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

/// Why it computes in the type it does: "auto; this processor has avx512_bf16", or what was asked.
std::string dtype_reason(const std::string& asked) {
  const bool is_auto = runner::compute_type(asked) == runner::ComputeType::kAuto;
  return is_auto ? concat(asked, "; ", bf16_support().reason) : asked;
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// What was measured after a step that warms up.
struct Timing {
  std::vector<double> seconds;          ///< of each step
  std::map<std::string, double> parts;  ///< seconds of the median step, by what took them
  double gemm_gflops = 0.0;
};

/// Seconds of each part of a step that took `total`; what no scope covers is "other".
std::map<std::string, double> parts_of(const nn::PartTimes& times, double total, double optimizer) {
  using enum nn::Part;
  std::map<std::string, double> parts;
  for (const auto& [part, name] : {std::pair{kFrozenGemm, "frozen_gemm"},
                                   {kAdapterGemm, "adapter_gemm"},
                                   {kAttention, "attention"},
                                   {kLoss, "loss"}}) {
    parts[concat(name, "_forward")] = times.seconds(part, nn::Direction::kForward);
    parts[concat(name, "_backward")] = times.seconds(part, nn::Direction::kBackward);
  }
  parts["optimizer"] = optimizer;
  double known = 0;
  for (const auto& [name, seconds] : parts) known += seconds;
  parts["other"] = total - known;
  return parts;
}

Timing time_steps(const BenchOptions& options,
                  const std::vector<data::PackedRow>& rows,
                  const models::Decoder& decoder,
                  const mixture::Mixture& mixture,
                  const recipe::Recipe& recipe) {
  const auto optimizer = train::make_optimizer(mixture.trained_parameters(), recipe.optimizer);
  train::DocumentCaches caches(recipe, decoder.config());
  train::GemmRate rate(decoder.config(), options.rows * options.length, decoder.dtype());
  Progress progress("bench train");
  Timing timing;
  std::vector<std::map<std::string, double>> parts;
  for (int64_t step = 0; step <= options.steps; ++step) {
    rate.measure();
    const nn::PartTimes times;
    const auto begin = std::chrono::steady_clock::now();
    train::gather_gradients({.decoder = decoder,
                             .mixture = mixture,
                             .rows = rows,
                             .micro_batch_size = options.rows,
                             .step = step,
                             .first_pass_cache = caches.first_pass(),
                             .frozen_prefix_cache = caches.frozen_prefix(),
                             .gradient_checkpointing = recipe.batch.gradient_checkpointing});
    const auto gathered = std::chrono::steady_clock::now();
    optimizer->step(1e-4);
    train::clear_gradients(optimizer->parameters());
    const double optimizer_seconds = seconds_since(gathered), total = seconds_since(begin);
    if (step > 0) {
      timing.seconds.push_back(total);
      parts.push_back(parts_of(times, total, optimizer_seconds));
    }
    progress.update(step, options.steps);
  }
  progress.finish();
  timing.gemm_gflops = rate.gflops();
  const double middle = median(timing.seconds);
  const auto typical = std::find(timing.seconds.begin(), timing.seconds.end(), middle);
  timing.parts = parts[static_cast<size_t>(typical - timing.seconds.begin())];
  return timing;
}

/// What --dry-run would say of a run with such steps.
int64_t forecast_bytes(recipe::Recipe recipe,
                       const BenchOptions& options,
                       const arch::BaseModel& base,
                       at::ScalarType dtype) {
  recipe.batch.micro_batch_size = options.rows;
  recipe.data.sequence_len = options.length;
  const auto bytes = static_cast<int64_t>(at::elementSize(dtype));
  recipe = train::with_fillable_caches(std::move(recipe), options.rows * options.length,
                                       base.config, bytes);
  return train::forecast_memory(recipe, base.config, bytes, arch::inventory(base)).total();
}

/// "frozen GEMM forward 0.52 s (12 %), …", the longest first.
std::string parts_text(const std::map<std::string, double>& parts, double total) {
  std::vector<std::pair<double, std::string>> sorted;
  for (const auto& [name, seconds] : parts) sorted.emplace_back(seconds, name);
  std::sort(sorted.rbegin(), sorted.rend());
  std::string text;
  for (const auto& [seconds, name] : sorted) {
    char line[128];
    std::snprintf(line, sizeof(line), "  %-22s %8.3f s %5.1f %%\n", name.c_str(), seconds,
                  100 * seconds / total);
    text += line;
  }
  return text;
}

}  // namespace

int run_bench(const std::vector<std::string>& arguments) {
  CLI::App app{
      "Times training steps on random tokens; one step warms up. Settings of a recipe follow as "
      "key=value. With num_epochs=2 the steps are those of a later epoch: what a run keeps of each "
      "document is there.\n"
      "With --tune it measures instead from how many experts on top-k products at projections are "
      "faster when they compute the chosen ones alone, and writes the table that training goes by.",
      "lmoe bench"};
  app.footer(
      "examples:\n  lmoe bench train\n  lmoe bench train mixture.method=lora "
      "mixture.experts.rank=64 --rows 2 --length 256\n  lmoe bench --tune");
  BenchOptions options;
  std::string what;
  bool as_json = false;
  app.add_option("what", what, "train")->check(CLI::IsMember({"train"}));
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
      ->check(number_between(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--parameters", options.parameters,
                 "choose the rank that brings the trained parameters nearest to this")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  app.add_option("--dtype", options.dtype, "auto, float32 or bfloat16")->capture_default_str();
  app.add_flag("--json", as_json, "one line of JSON");
  std::string table;
  bool tunes = false;
  const std::vector<CLI::Option*> of_training = app.get_options();
  CLI::Option* tune = app.add_flag("--tune", tunes, "measure the forms of top-k products");
  for (CLI::Option* other : of_training)
    if (other != app.get_help_ptr()) tune->excludes(other);
  app.add_option("--output", table,
                 "with --tune: the table's file; default the user's own, " + own_table_text())
      ->needs(tune);
  std::vector<std::string> overrides;
  if (const ParseOutcome outcome = parse_arguments(app, arguments, &overrides); outcome.finished)
    return outcome.exit_code;
  LMOE_CHECK_ARG(what.empty() == tunes,
                 "[bench] nothing to measure: expected `lmoe bench train` or `lmoe bench --tune`");
  keep_freed_memory();
  if (tunes) {
    LMOE_CHECK_ARG(overrides.empty(), "[bench] --tune reads no recipe: given ", overrides.front());
    return tune_top_k(table);
  }

  ReadReport report;
  recipe::Recipe recipe = recipe::read_recipe("", overrides, report);
  if (recipe.run.output_dir == recipe::RunOptions().output_dir)  // for what is kept in a file
    recipe.run.output_dir = fs::temp_directory_path().string();
  LMOE_CHECK_ARG(recipe.objective.kind == recipe::Objective::kLanguageModel,
                 "[bench] train times language models: given objective preference, expected "
                 "language_model");
  const auto base = arch::open_base_model(recipe.base_model);
  const spec::DecoderShape shape = recipe::decoder_shape(base->config);
  if (options.parameters > 0)
    recipe.mixture = spec::fit_parameters(recipe.mixture, shape, options.parameters);
  const at::ScalarType dtype = runner::choose_dtype(runner::compute_type(options.dtype));
  const auto decoder =
      models::Decoder::load(*base, {.dtype = dtype, .frozen_weights = recipe.batch.frozen_weights});
  mixture::Mixture mixture(spec::with_tasks(recipe.mixture, kTasks), decoder->sockets(), 42);
  mixture.plug(decoder->sockets());
  mixture.advance_to(0.0);  // finished experts learn nothing

  const std::vector<data::PackedRow> rows = random_rows(options, decoder->config().vocab_size);
  const Timing timing = time_steps(options, rows, *decoder, mixture, recipe);
  const double step = median(timing.seconds);
  int64_t labelled = 0;
  for (const data::PackedRow& row : rows) labelled += row.labelled();
  const double speed = static_cast<double>(options.rows * options.length) / step;
  const double useful_speed = static_cast<double>(labelled) / step;
  const double bound_share = train::step_flops(mixture.spec(), decoder->config(), rows) /
                             (timing.gemm_gflops * 1e9) / step;
  const int64_t peak = train::peak_memory_bytes();
  const int64_t forecast = forecast_bytes(recipe, options, *base, dtype);
  const std::string dtype_name = dtype == at::kBFloat16 ? "bf16" : "f32";
  const std::vector<std::string> features = cpu_features();
  if (as_json) {
    const Json result = {
        {"method", recipe.mixture.method},
        {"dtype", dtype_name},
        {"dtype_reason", dtype_reason(options.dtype)},
        {"frozen_weights", enum_name(recipe.batch.frozen_weights)},
        {"frozen_weight_bytes", decoder->weight_bytes()},
        {"experts", recipe.mixture.experts.count},
        {"rank", recipe.mixture.experts.rank},
        {"trained_parameters", mixture.trained_parameter_count()},
        {"adapter_multiply_adds", spec::mixture_cost(recipe.mixture, shape).multiply_adds},
        {"seconds_per_step", step},
        {"seconds", timing.seconds},
        {"tokens_per_second", speed},
        {"useful_tokens_per_second", useful_speed},
        {"gemm_gflops", timing.gemm_gflops},
        {"bound_share", bound_share},
        {"parts", timing.parts},
        {"features", features},
        {"kernels", kernels::chosen_target()},
        {"threads", at::get_num_threads()},
        {"peak_memory_bytes", peak},
        {"forecast_bytes", forecast}};
    std::printf("%s\n", result.dump().c_str());
  } else {
    std::printf(
        "%s, %s, %lld x %lld tokens, %.0f %% labelled: %.2f s/step, %.0f tokens/s, %.0f useful "
        "tokens/s, %lld trained parameters, peak memory %s, forecast %s\n",
        recipe.mixture.method.c_str(), dtype_name.c_str(), static_cast<long long>(options.rows),
        static_cast<long long>(options.length), 100 * options.labelled, step, speed, useful_speed,
        static_cast<long long>(mixture.trained_parameter_count()),
        bytes_text(static_cast<double>(peak)).c_str(),
        bytes_text(static_cast<double>(forecast)).c_str());
    std::string all;
    for (const std::string& feature : features) all += " " + feature;
    std::printf("%.0f %% of the bound by a GEMM at %.0f GFLOP/s; %d threads,%s; kernels for %s\n",
                100 * bound_share, timing.gemm_gflops, at::get_num_threads(), all.c_str(),
                kernels::chosen_target().c_str());
    std::printf("computing in %s (dtype: %s)\n", dtype == at::kBFloat16 ? "bfloat16" : "float32",
                dtype_reason(options.dtype).c_str());
    std::printf("%s", parts_text(timing.parts, step).c_str());
  }
  return 0;
}

}  // namespace lmoe::cli
