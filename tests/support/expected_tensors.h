// The tensors of a fixture, by name.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "io/safetensors.h"

namespace lmoe::test {

class ExpectedTensors {
 public:
  explicit ExpectedTensors(const std::filesystem::path& path)
      : file_(io::SafetensorsFile::open(path)) {}

  std::vector<std::string> names() const { return file_->names(); }
  bool has(const std::string& name) const { return file_->find(name) != nullptr; }
  at::Tensor get(const std::string& name) const {
    const io::TensorView* view = file_->find(name);
    if (view == nullptr) throw std::runtime_error("fixture has no tensor " + name);
    const at::ScalarType dtype = view->dtype == io::DType::kI64 ? at::kLong : at::kFloat;
    return at::from_blob(const_cast<std::byte*>(view->bytes.data()), view->shape, dtype).clone();
  }

 private:
  std::unique_ptr<io::SafetensorsFile> file_;
};

}  // namespace lmoe::test
