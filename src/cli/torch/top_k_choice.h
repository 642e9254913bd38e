// The table by which a training run chooses the forms of its top-k products: one for all workers
// and for as long as the run goes on.
#pragma once

#include <map>
#include <string>

#include "distributed/process_group.h"
#include "recipe/recipe.h"
#include "train/run_folder.h"

namespace lmoe::cli {

/// Before the mixture is made. A run that goes on takes its checkpoint's table, any other the
/// user's own or the built-in one, as the first worker finds it. Returns what checkpoints keep, by
/// file name: nothing for mixtures that have no choice. Throws kCorruptData naming file and line.
std::map<std::string, std::string> choose_top_k_table(const recipe::Recipe& recipe,
                                                      const train::RunFolder& folder,
                                                      distributed::ProcessGroup& group);

}  // namespace lmoe::cli
