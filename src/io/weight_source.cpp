#include "io/weight_source.h"

#include "base/error.h"
#include "base/nearest.h"

namespace lmoe::io {

const TensorView& WeightSource::claim(const std::string& name, const std::vector<int64_t>& shape) {
  const TensorView* tensor = find(name);
  if (tensor == nullptr) {
    const std::string nearest = nearest_name(name, names());
    fail(ErrorCode::kCorruptData, "[load] ", description(), " has no tensor \"", name, "\"",
         nearest.empty() ? "" : "; nearest is \"" + nearest + "\"");
  }
  bool matches = tensor->shape.size() == shape.size();
  for (size_t i = 0; matches && i < shape.size(); ++i)
    matches = shape[i] == -1 || shape[i] == tensor->shape[i];
  LMOE_CHECK_DATA(matches, "[load] ", description(), ": tensor ", name, " has shape ",
                  tensor->shape_text(), ", expected ", shape_text(shape));
  file_of(name).check_not_truncated();
  claimed_.insert(name);
  return *tensor;
}

const WeightSource& WeightSource::file_of(const std::string&) const { return *this; }

void WeightSource::check_all_claimed(const std::string& operation) const {
  constexpr size_t kShown = 8;
  std::string list;
  size_t unclaimed = 0;
  for (const std::string& name : names()) {
    if (claimed_.count(name) != 0) continue;
    if (++unclaimed <= kShown) list += (list.empty() ? "" : ", ") + name;
  }
  LMOE_CHECK_DATA(unclaimed == 0, "[", operation, "] ", description(), " holds ", unclaimed,
                  " tensors that nothing uses: ", list, unclaimed > kShown ? ", …" : "");
}

}  // namespace lmoe::io
