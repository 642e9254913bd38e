#include "cli/torch/run_setup.h"

#include <cmath>

#include "base/cpu_features.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "cli/terminal.h"
#include "cli/torch/eval_data.h"
#include "cli/torch/frozen_weights_text.h"
#include "cli/torch/start_reward_heads.h"
#include "data/chat_encoder.h"
#include "data/record.h"
#include "io/checkpoints.h"
#include "mixture/load_adapter.h"
#include "runner/base_record.h"
#include "runner/loaded_model.h"
#include "runner/prompt_prototypes.h"
#include "text/tokenizer.h"
#include "train/document_caches.h"
#include "train/objective.h"

namespace lmoe::cli {
namespace {

std::unique_ptr<data::Renderer> make_renderer(const recipe::Recipe& recipe,
                                              const arch::BaseModel& base) {
  const std::string source = chat_template_source(recipe, base);
  std::shared_ptr<const data::ChatEncoder> chat;
  if (!source.empty()) {
    const Json globals = {{"bos_token", base.bos_token}, {"eos_token", base.eos_token}};
    chat = std::make_shared<data::ChatEncoder>(base.tokenizer, source, globals);
  }
  data::DataOptions options = recipe.data;
  options.sequence_len -= recipe.mixture.prompts.positions();  // of a row with one document
  return std::make_unique<data::Renderer>(base.tokenizer, chat, std::move(options),
                                          base.end_tokens());
}

at::ScalarType dtype_of(const recipe::Recipe& recipe) {
  const recipe::Bf16 wanted = recipe.batch.bf16;
  return runner::choose_dtype(wanted == recipe::Bf16::kTrue    ? runner::ComputeType::kBf16
                              : wanted == recipe::Bf16::kFalse ? runner::ComputeType::kF32
                                                               : runner::ComputeType::kAuto);
}

void describe(const data::TrainingData& training) {
  for (const data::EncodedDataset& set : training.train) {
    log().info("data {} ({}, {}): {}", set.name, enum_name(set.type), set.file,
               set.statistics.text());
    if (set.blank_records > 0)
      log().warn("{}: {} of the records teach nothing but white space, the first in line {}",
                 set.file, set.blank_records, set.first_blank_line);
    if (!set.extra_keys.empty()) {
      std::string keys;
      for (const std::string& key : set.extra_keys) keys += (keys.empty() ? "" : ", ") + key;
      log().info("  keys not used: {}", keys);
    }
  }
}

/// Pairs of answers and the objective that compares them need each other.
void check_objective(const recipe::Recipe& recipe, const data::TrainingData& training) {
  const bool compares = recipe.objective.kind == recipe::Objective::kPreference;
  for (const data::EncodedDataset& set : training.train) {
    const bool is_preference = set.type == data::RecordType::kPreference;
    LMOE_CHECK_ARG(is_preference == compares, "[train] ", set.file, ": objective ",
                   enum_name(recipe.objective.kind), " cannot learn from these records: given ",
                   enum_name(set.type), ", expected ",
                   compares ? "preference (prompt or messages, chosen, rejected)"
                            : "others; hint: objective: preference trains a reward model");
  }
}

/// How full rows are, and how much of them teaches.
void describe(const data::RowStream& rows,
              const data::TrainingData& training,
              int64_t sequence_len) {
  double tokens = 0, labelled = 0;
  for (const data::EncodedDataset& set : training.train) {
    tokens += set.weight * static_cast<double>(set.statistics.tokens);
    labelled += set.weight * static_cast<double>(set.statistics.labelled_tokens);
  }
  const int64_t count = rows.rows_in_epoch(0);
  log().info(
      "rows: {} per epoch, {} of {} tokens long on average; {} % of the tokens are labelled, none "
      "is "
      "padding",
      count, std::lround(tokens / static_cast<double>(count)), sequence_len,
      std::lround(100 * labelled / tokens));
}

/// "float32 (bf16: auto; this processor has neither avx512_bf16 nor amx_bf16)"
std::string compute_type_text(const recipe::Recipe& recipe) {
  const std::string type = dtype_of(recipe) == at::kBFloat16 ? "bfloat16" : "float32";
  const bool is_auto = recipe.batch.bf16 == recipe::Bf16::kAuto;
  return concat(type, " (bf16: ", enum_name(recipe.batch.bf16),
                is_auto ? "; " + bf16_support().reason : "", ")");
}

std::vector<eval::EvalTask> make_tasks(const std::vector<data::DatasetOptions>& sources,
                                       const recipe::Recipe& recipe,
                                       const data::Renderer& renderer) {
  std::vector<eval::EvalTask> tasks;
  for (const data::DatasetOptions& source : sources) {
    const data::Dataset dataset = data::read_dataset(source, data::Purpose::kEvaluation);
    tasks.push_back(eval::first_items(eval::make_task(dataset, renderer, eval::Metric::kAuto),
                                      recipe.run.first_look_records));
    tasks.back().is_training_data = is_training_data(dataset, recipe);
    if (tasks.back().metric == eval::Metric::kPairAccuracy)
      tasks.back().task = task_number(dataset, recipe);
  }
  return tasks;
}

/// Of examples evenly spread over the training data.
std::vector<std::vector<int32_t>> some_prompts(const data::TrainingData& training) {
  constexpr size_t kMostPrompts = 2048;
  std::vector<const data::Example*> all;
  for (const data::EncodedDataset& set : training.train)
    for (const data::Example& example : set.examples) all.push_back(&example);
  const size_t count = std::min(kMostPrompts, all.size());
  std::vector<std::vector<int32_t>> prompts;
  for (size_t i = 0; i < count; ++i) {
    const data::Example& example = *all[i * all.size() / count];
    const auto length = std::max<int64_t>(1, example.prompt_length());
    prompts.emplace_back(example.ids.begin(), example.ids.begin() + length);
  }
  return prompts;
}

std::vector<eval::EvalTask> first_look(const recipe::Recipe& recipe,
                                       const data::Renderer& renderer) {
  if (!recipe.eval_datasets.empty()) return make_tasks(recipe.eval_datasets, recipe, renderer);
  try {
    return make_tasks(recipe.data.datasets, recipe, renderer);
  } catch (const Error& error) {
    log().warn("the training data cannot be scored, so there will be no first look: {}",
               error.what());
    return {};
  }
}

}  // namespace

std::string chat_template_source(const recipe::Recipe& recipe, const arch::BaseModel& base) {
  if (recipe.chat_template.empty()) return base.chat_template.value_or("");
  const bool is_text = recipe.chat_template.find('{') != std::string::npos;
  LMOE_CHECK_ARG(
      is_text || (fs::exists(recipe.chat_template) && !fs::is_directory(recipe.chat_template)),
      "[recipe] chat_template: no such file: given ", recipe.chat_template,
      ", expected a file or Jinja text");
  return is_text ? recipe.chat_template : read_file(recipe.chat_template);
}

DataSetup prepare_data(const recipe::Recipe& recipe) {
  DataSetup setup;
  setup.base = arch::open_base_model(recipe.base_model);
  setup.renderer = make_renderer(recipe, *setup.base);
  const auto seed = static_cast<uint64_t>(recipe.batch.seed);
  {
    Progress progress("reading and tokenising the data");
    setup.training = data::load_training_data(*setup.renderer, seed);
    progress.finish();
  }
  describe(setup.training);
  check_objective(recipe, setup.training);
  setup.first_look = first_look(recipe, *setup.renderer);  // opens the data, wanted or not
  if (recipe.run.first_look_records == 0) setup.first_look.clear();
  const int64_t prompts = recipe.mixture.prompts.positions();
  const int64_t positions = setup.base->config.max_position_embeddings;
  LMOE_CHECK_ARG(prompts < positions, "[train] mixture.prompts put ", prompts,
                 " positions in front of each document: given a base of ", positions,
                 ", expected room for tokens");
  const data::StreamOptions options = {.sequence_len = recipe.data.sequence_len,
                                       .sample_packing = recipe.data.sample_packing,
                                       .seed = seed,
                                       .prompt_positions = prompts};
  setup.rows = std::make_unique<data::RowStream>(setup.training.train, options);
  setup.validation_rows = data::pack_in_order(setup.training.validation, options);
  describe(*setup.rows, setup.training, recipe.data.sequence_len);
  log().info("computing in {}", compute_type_text(recipe));
  if (recipe.batch.frozen_weights != arch::FrozenWeights::kDense)
    log().info("frozen weights: {}",
               frozen_weights_text(recipe.batch.frozen_weights, arch::inventory(*setup.base),
                                   element_bytes(recipe)));
  return setup;
}

recipe::Recipe with_fillable_caches(recipe::Recipe recipe, const DataSetup& data) {
  int64_t tokens = 0;
  for (const data::EncodedDataset& set : data.training.train) tokens += set.statistics.tokens;
  const int64_t bytes = element_bytes(recipe);
  return train::with_fillable_caches(std::move(recipe), tokens, data.base->config, bytes);
}

int64_t element_bytes(const recipe::Recipe& recipe) {
  return dtype_of(recipe) == at::kBFloat16 ? 2 : 4;
}

ModelSetup prepare_model(const recipe::Recipe& recipe, const DataSetup& data) {
  arch::BaseModel& base = *data.base;
  // With several passes each task has so many experts.
  const spec::MixtureSpec spec =
      spec::with_tasks(recipe.mixture, data.training.task_count() * recipe.objective.reward_passes);
  spec::check_passages(spec, data.training.passage_count());
  ModelSetup setup;
  Progress progress("reading " + base.name, Progress::Unit::kBytes);
  setup.decoder = models::Decoder::load(
      base, {.dtype = dtype_of(recipe),
             .on_read = [&](int64_t done, int64_t total) { progress.update(done, total); },
             .frozen_weights = recipe.batch.frozen_weights});
  setup.mixture = std::make_unique<mixture::Mixture>(spec, setup.decoder->sockets(),
                                                     static_cast<uint64_t>(recipe.batch.seed));
  setup.mixture->plug(setup.decoder->sockets());
  setup.reward_head = train::make_reward_head(recipe, setup.decoder->config().hidden_size);
  progress.finish();
  return setup;
}

int64_t trained_count(const ModelSetup& model) {
  int64_t count = 0;
  for (const nn::NamedTensor& parameter :
       train::trained_parameters(*model.mixture, model.reward_head.get()))
    count += parameter.tensor.numel();
  return count;
}

void start_from_finished(const recipe::Recipe& recipe, const DataSetup& data, ModelSetup& model) {
  const spec::MixtureSpec& spec = model.mixture->spec();
  const bool learns_experts = !spec.schedule.freeze_experts || spec.schedule.hard_until > 0.0;
  LMOE_CHECK_ARG(learns_experts || recipe.run.init_from || !spec.experts.adapters.empty(),
                 "[train] mixture.schedule.freeze_experts leaves experts that do nothing as they "
                 "are; hint: mixture.adapters={name: folder, ...}, finished LoRAs to begin with");
  LMOE_CHECK_ARG(spec.gate.net != spec::GateNet::kNearest || recipe.run.init_from,
                 "[train] mixture.gate.net nearest has an empty memory; hint: init_from=RUN, a run "
                 "that `lmoe experts RUN refit --net nearest` made");
  LMOE_CHECK_ARG(spec.prompts.frozen == 0 || recipe.run.init_from,
                 "[train] mixture.prompts.frozen leaves ", spec.prompts.frozen,
                 " entries that nobody has trained as they are; hint: init_from=RUN, a run whose "
                 "bank begins with them");
  mixture::begin_with_adapters(*model.mixture);
  if (spec.has_prompts())
    runner::begin_with_prototypes(*model.decoder, *model.mixture, some_prompts(data.training));
  if (recipe.objective.init_reward_head) begin_with_heads_of_run(recipe, *data.base, model);
  if (!recipe.run.init_from) return;
  const fs::path run = io::complete_run(*recipe.run.init_from);
  runner::check_same_base(runner::read_base_record(run), *data.base, run);
  const auto start = mixture::Mixture::load(run, model.decoder->sockets());
  model.mixture->copy_from(*start);
  log().info("experts and gates begin with those of {}", run.string());
  go_on_with_head(run, model);
}

arch::ContentHash hash_base(const arch::BaseModel& base) {
  Progress progress("hashing " + base.name, Progress::Unit::kBytes);
  arch::ContentHash hash =
      base.content_hash([&](int64_t done, int64_t total) { progress.update(done, total); });
  progress.finish();
  return hash;
}

std::map<std::string, std::string> side_files(const recipe::Recipe& recipe,
                                              const arch::BaseModel& base,
                                              const arch::ContentHash& hash) {
  std::map<std::string, std::string> files;
  files["tokenizer.json"] = text::tokenizer_to_json(*base.tokenizer);
  if (const std::string source = chat_template_source(recipe, base); !source.empty())
    files["chat_template.jinja"] = source;
  files["base.json"] =
      runner::describe_base(base, hash, recipe.batch.frozen_weights).dump(2) + "\n";
  return files;
}

}  // namespace lmoe::cli
