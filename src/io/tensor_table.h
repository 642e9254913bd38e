// The tensors of a file: in file order, found by name.
#pragma once

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "io/tensor_view.h"

namespace lmoe::io {

class TensorTable {
 public:
  /// False when there is one of that name already.
  bool add(TensorView tensor) {
    if (!index_.emplace(tensor.name, tensors_.size()).second) return false;
    tensors_.push_back(std::move(tensor));
    return true;
  }
  const TensorView* find(const std::string& name) const {
    const auto found = index_.find(name);
    return found == index_.end() ? nullptr : &tensors_[found->second];
  }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const TensorView& tensor : tensors_) names.push_back(tensor.name);
    return names;
  }
  const std::vector<TensorView>& tensors() const { return tensors_; }

 private:
  std::vector<TensorView> tensors_;
  std::unordered_map<std::string, size_t> index_;
};

}  // namespace lmoe::io
