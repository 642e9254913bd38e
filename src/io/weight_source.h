// Where a model's weights come from: a set of named tensors, memory-mapped, each to be claimed
// once.
//
//   auto source = io::open_safetensors_folder(path);
//   const TensorView& w = source->claim("model.norm.weight", {576});
//   source->check_all_claimed("load_base");     // names every tensor nobody wanted
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "io/tensor_view.h"

namespace lmoe::io {

class WeightSource {
 public:
  virtual ~WeightSource() = default;

  /// For messages: the file or folder.
  virtual std::string description() const = 0;
  virtual std::vector<std::string> names() const = 0;
  /// Null when there is no such tensor.
  virtual const TensorView* find(const std::string& name) const = 0;
  /// Throws kCorruptData when a mapped file has shrunk since it was opened.
  virtual void check_not_truncated() const = 0;
  /// What was read so far need not stay in memory; a large model is not there twice then.
  virtual void forget_pages() const = 0;

  /// The tensor, marked as used. Throws kCorruptData when it is missing or its shape differs from
  /// `shape`
  /// (-1 in `shape` accepts any length there).
  const TensorView& claim(const std::string& name, const std::vector<int64_t>& shape);
  /// Marks a tensor as known but not needed (lm_head of a tied model).
  void ignore(const std::string& name) { claimed_.insert(name); }
  /// Throws kCorruptData listing the tensors that were neither claimed nor ignored.
  void check_all_claimed(const std::string& operation) const;

 protected:
  /// The file that holds a tensor: this one, unless the source has several.
  virtual const WeightSource& file_of(const std::string& name) const;

 private:
  std::set<std::string> claimed_;
};

}  // namespace lmoe::io
