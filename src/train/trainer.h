// Trains a mixture on a frozen decoder.
//
//   train::RunFolder folder(recipe.run);
//   … open the base, load the decoder, make the mixture and plug it in, load the data …
//   train::TrainResult result = train::train(
//       {recipe, folder, *decoder, mixture, rows, {base.name, base.content_hash(), rounded_to},
//        side_files},
//       callbacks);
//
// One optimizer step draws its rows first, so the loss of every micro-batch is divided by the
// labelled tokens of the whole step: k micro-batches of m rows give the gradient of one of k·m.
// Balance losses are taken per micro-batch and weighted by its share of the step's tokens.
// The workers of a group share the micro-batches of a step out and learn what one alone would;
// only the first of them writes. The recipe's gradient_accumulation_steps counts those of all.
//
// The folder ends as a run any verb can use: mixture.yaml, router.safetensors, experts/, the side
// files, config_effective.json, log.jsonl, manifest.json (last) and checkpoints/step-000200/ with
// the same plus optimizer.safetensors and trainer_state.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "arch/content_hash.h"
#include "arch/frozen_weights.h"
#include "data/row_stream.h"
#include "distributed/process_group.h"
#include "mixture/mixture.h"
#include "models/decoder.h"
#include "nn/reward_head.h"
#include "recipe/recipe.h"
#include "train/run_folder.h"
#include "train/step_report.h"
#include "train/validation.h"

namespace lmoe::train {

/// The frozen model a run belongs to.
struct BaseIdentity {
  std::string name;        ///< as the recipe has it
  arch::ContentHash hash;  ///< resuming on another one is refused, as on other values:
  std::optional<arch::FrozenWeights> rounded_to = {};  ///< WeightInventory::rounding
};

struct TrainJob {
  const recipe::Recipe& recipe;
  RunFolder& folder;  ///< begins when nothing can be refused any more
  const models::Decoder& decoder;
  /// Fresh and plugged into the decoder. When the folder resumes, its values come from there.
  mixture::Mixture& mixture;
  data::RowStream& rows;
  BaseIdentity base;
  /// Written as they are beside the mixture, in each checkpoint and at the end, by file name:
  /// tokenizer.json, chat_template.jinja, base.json.
  std::map<std::string, std::string> side_files;
  nn::RewardHead* reward_head = nullptr;  ///< with objective preference, as make_reward_head has it
  distributed::ProcessGroup& group = distributed::alone();
};

struct TrainEvent {
  enum class Kind {
    kStarted,     ///< `report` has total_steps and, after resuming, step
    kStep,        ///< after every step; `report` is complete when `logged`
    kValidating,  ///< validation begins
    kValidated,   ///< `report.eval_loss`, `report.eval_pair_accuracy`
    kSaving,      ///< `path` is being written
    kSaved,
    kFinished,
  };
  Kind kind = Kind::kStep;
  const StepReport& report;
  bool logged = false;  ///< kStep: a line of log.jsonl was written
  std::filesystem::path path;
};

struct TrainCallbacks {
  std::function<void(const TrainEvent&)> on_event;
  /// Loss per labelled token (or pair) of held-out data; validation.h computes it. Empty:
  /// no validation; an explicit eval_steps is then refused. When it throws kInterrupted, the step
  /// is kept without an eval_loss.
  std::function<ValidationResult()> validate;
  /// Asked between micro-batches. True: the step under way is dropped, the state after the step
  /// before is saved, and `train` returns.
  std::function<bool()> should_stop;
};

struct TrainResult {
  int64_t steps = 0;  ///< done in all, those before resuming included
  int64_t total_steps = 0;
  bool interrupted = false;
  double loss = 0.0;  ///< of the last step
  std::optional<double> eval_loss;
  int64_t total_tokens = 0;
  int64_t labelled_tokens = 0;
  double seconds = 0.0;
  int64_t peak_memory_bytes = 0;
  std::filesystem::path last_checkpoint;
};

/// Throws kInvalidArgument (resuming with another base, recipe or data, naming it), kDiverged (a
/// loss or gradient that is not finite, naming step and rows, or the watchdog; the last checkpoint
/// stays), kIo (disk full, or another worker was lost: the last checkpoint stays). What fails in
/// one worker ends all of them: distributed::FailedElsewhere in those that have nothing to say.
TrainResult train(const TrainJob& job, const TrainCallbacks& callbacks);

}  // namespace lmoe::train
