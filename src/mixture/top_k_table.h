// From how many experts on `mix_selected`, which computes the chosen ones alone, is faster than
// the dense form: what was measured, as a table that people can read and `lmoe bench --tune`
// writes.
//
//   # type k rank in out rows experts
//   float32 2 8 576 1536 2048 16
//   float32 4 2 576 1536 64 never
//
// The choice follows from the table and the shape alone, so that a run can be repeated: a training
// run keeps its table in its checkpoints and goes on with it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lmoe::mixture {

inline constexpr const char* kTopKTableFile = "top_k_table.txt";  ///< its name wherever it is kept

/// A product of k of the experts at one projection.
struct TopKShape {
  at::ScalarType type = at::kFloat;  ///< of activations
  int64_t k = 1, rank = 1;
  int64_t in = 1, out = 1;  ///< widths of the projection; of several the mean of `out`
  int64_t rows = 1;         ///< tokens that go through it at once

  bool operator==(const TopKShape&) const = default;
  std::string text() const;  ///< "float32 2 8 576 1536 2048"
};

class TopKTable {
 public:
  struct Line {
    TopKShape shape;
    std::optional<int64_t> experts;  ///< at the least; empty: the dense form is always faster
  };

  /// `name` of the file for messages. Throws kCorruptData naming file and line.
  TopKTable(std::string text, const std::string& name);

  const std::vector<Line>& lines() const { return lines_; }
  /// As it was read, comments included.
  const std::string& text() const { return text_; }
  /// Of the shape that is nearest by ratios, among those of the same type if there are some.
  std::optional<int64_t> least_experts(const TopKShape& shape) const;
  bool chooses_selected(int64_t experts, const TopKShape& shape) const;

 private:
  std::string text_;
  std::vector<Line> lines_;
};

/// `comments`: lines without their "# ".
std::string top_k_table_text(const std::vector<std::string>& comments,
                             const std::vector<TopKTable::Line>& lines);

/// Comes with the program: src/mixture/top_k_table.txt.
const TopKTable& built_in_top_k_table();
/// Where the user's own is looked for: $XDG_CONFIG_HOME/lmoe/top_k_table.txt, by default
/// ~/.config/lmoe/top_k_table.txt; empty where the environment names neither.
std::filesystem::path own_top_k_table_path();

/// What mixtures made from now on go by: the user's own table, or else the built-in one. Throws
/// kCorruptData naming file and line.
std::shared_ptr<const TopKTable> top_k_table();
/// Replaces it for this process: a run goes on with its own.
void use_top_k_table(std::shared_ptr<const TopKTable> table);

}  // namespace lmoe::mixture
