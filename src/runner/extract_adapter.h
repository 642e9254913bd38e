// A LoRA out of a model that was trained as a whole: the difference to its base, cut down to a rank
// (FlexMoRE, arXiv 2602.08818).
//
//   auto report = extract_adapter(*base, *tuned, {.rank = 64}, "adapters/math");
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "arch/base_model.h"

namespace lmoe::runner {

struct ExtractOptions {
  int64_t rank = 64;
  /// Out of q, k, v, o, gate, up and down; those of the FFN as a default, as in FlexMoRE.
  std::vector<std::string> projections = {"gate", "up", "down"};
  std::function<void(int64_t done, int64_t total)> on_progress;  ///< matrices
};

/// How much of a difference the factors keep.
struct ExtractedMatrix {
  std::string module;  ///< "model.layers.3.mlp.up_proj"
  double norm = 0.0;   ///< Frobenius norm of tuned - base
  double error = 0.0;  ///< that of tuned - base - B A: the root of the squared singular values left
};

struct ExtractReport {
  std::vector<ExtractedMatrix> matrices;
  /// Other tensors in which the models differ, which the adapter cannot hold.
  std::vector<std::string> left_out;
};

/// Writes a PEFT LoRA folder whose alpha is its rank, so that B A is added as it is. Matrices are
/// read and decomposed one by one. Throws kInvalidArgument before anything is computed or written:
/// an unknown projection, a rank beyond a matrix, models whose tensors differ in shape (by name),
/// models that do not differ at all; kCorruptData as reading does; kIo.
ExtractReport extract_adapter(arch::BaseModel& base,
                              arch::BaseModel& tuned,
                              const ExtractOptions& options,
                              const std::filesystem::path& folder);

}  // namespace lmoe::runner
