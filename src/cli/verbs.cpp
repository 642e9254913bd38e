#include "cli/verbs.h"

namespace lmoe::cli {

std::span<const Verb> all_verbs() {
  static constexpr Verb kVerbs[] = {
      {"train", "train experts and router together from a recipe", true},
      {"resume", "continue an interrupted run, bit for bit", true},
      {"eval", "score a run on task files: intervals, router usage, expert ablation", true},
      {"compare", "a fair fight: methods of equal size, each at its best learning rate", false},
      {"export", "a run's adapters in the format of another tool", true},
      {"extract", "a LoRA out of a model that was trained as a whole", true},
      {"score", "log-probability of every token of a text", true},
      {"generate", "answer one prompt", true},
      {"chat", "talk to a model or a run; /router shows which experts spoke", true},
      {"experts",
       "list, add, remove, replace, freeze or split experts of a run, or refit its gates", true},
      {"prompts", "add entries to the bank of prompts of a run", true},
      {"select", "choose adapters and data for a task by a few samples of it", true},
      {"bench", "measure training speed with its conditions", true},
      {"report", "write a run's report.html again", false},
      {"inspect", "what is inside a model, adapter, run or tensor file", false},
      {"methods", "the methods, and each as a recipe", false},
      {"examples", "ready recipes to copy", false},
      {"schema", "every key of a recipe: type, default, range, help", false},
  };
  return kVerbs;
}

}  // namespace lmoe::cli
