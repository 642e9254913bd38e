#include "nn/reward_head.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "base/error.h"
#include "base/rng.h"
#include "io/safetensors.h"
#include "nn/tensor_bytes.h"

namespace lmoe::nn {
namespace {

constexpr double kFirstSlope = 0.25;

/// [G, …] of G times the same draw.
template <class Draw>
at::Tensor repeated(int64_t heads,
                    std::vector<int64_t> sizes,
                    const at::TensorOptions& options,
                    Draw draw) {
  at::Tensor one = at::empty(sizes, at::TensorOptions().dtype(at::kDouble));
  double* values = one.mutable_data_ptr<double>();
  for (int64_t i = 0; i < one.numel(); ++i) values[i] = draw();
  sizes.insert(sizes.begin(), heads);
  return one.to(options).unsqueeze(0).expand(sizes).contiguous().set_requires_grad(true);
}

/// Of a tensor in the file: [G, …].
std::vector<int64_t> sizes_in(const io::SafetensorsFile& file,
                              const std::filesystem::path& path,
                              const std::string& name,
                              size_t dimensions) {
  const io::TensorView* view = file.find(name);
  LMOE_CHECK_DATA(view != nullptr, "[load_reward_head] ", path.string(), ": ", name, " is missing");
  LMOE_CHECK_DATA(view->shape.size() == dimensions, "[load_reward_head] ", path.string(), ": ",
                  name, ": given ", view->shape.size(), " dimensions, expected ", dimensions);
  return view->shape;
}

}  // namespace

RewardHead::RewardHead(const RewardHeadShape& shape,
                       uint64_t seed,
                       const at::TensorOptions& options)
    : shape_(shape) {
  LMOE_CHECK_ARG(shape.hidden_size > 0 && shape.heads > 0 && shape.passes > 0,
                 "[reward_head] sizes must be positive: given width ", shape.hidden_size, ", ",
                 shape.heads, " heads, ", shape.passes, " passes");
  const int64_t width = shape.hidden_size, joined = shape.passes * width;
  Rng rng(seed, /*stream=*/0x726577);  // "rew"
  const double deviation = 1.0 / std::sqrt(static_cast<double>(width + 1));
  value_ = repeated(shape.heads, {width}, options, [&] { return deviation * rng.normal(); });
  if (shape.passes == 1) return;
  const double bound = 1.0 / std::sqrt(static_cast<double>(joined));
  const auto uniform = [&] { return bound * (2.0 * rng.uniform() - 1.0); };
  aggregator_ = repeated(shape.heads, {width, joined}, options, uniform);
  aggregator_bias_ = repeated(shape.heads, {width}, options, uniform);
  slope_ = repeated(shape.heads, {}, options, [] { return kFirstSlope; });
}

at::Tensor RewardHead::rewards(const at::Tensor& states, const at::Tensor& head) const {
  LMOE_CHECK_ARG(states.dim() == 2 && states.size(1) == shape_.passes * shape_.hidden_size &&
                     head.dim() == 1 && head.size(0) == states.size(0) && head.numel() > 0,
                 "[reward_head] shapes do not fit: given states ", states.sizes(), ", heads ",
                 head.sizes(), ", expected [D, ", shape_.passes * shape_.hidden_size, "] and [D]");
  const int64_t least = head.min().item<int64_t>(), most = head.max().item<int64_t>();
  LMOE_CHECK_ARG(least >= 0 && most < shape_.heads, "[reward_head] a document of task ",
                 least < 0 ? least : most, " has no reward head: there are ", shape_.heads);
  const at::Tensor wide = states.to(value_.scalar_type());
  if (least == most) return rewards_of_head(wide, least);
  at::Tensor rewards = at::zeros({states.size(0)}, wide.options());
  for (int64_t g = least; g <= most; ++g) {
    const at::Tensor own = head.eq(g).nonzero().squeeze(1).to(wide.device());
    if (own.numel() == 0) continue;
    rewards = rewards.index_add(0, own, rewards_of_head(wide.index_select(0, own), g));
  }
  return rewards;
}

at::Tensor RewardHead::rewards_of_head(const at::Tensor& states, int64_t head) const {
  at::Tensor joined = states;
  if (shape_.passes > 1) {
    joined = at::linear(states, aggregator_[head], aggregator_bias_[head]);
    joined = at::where(joined >= 0, joined, joined * slope_[head]);
  }
  return at::mv(joined, value_[head]);
}

std::vector<NamedTensor> RewardHead::parameters() const {
  std::vector<NamedTensor> all = {{"reward.value", value_}};
  if (shape_.passes == 1) return all;
  all.push_back({"reward.aggregator", aggregator_});
  all.push_back({"reward.aggregator_bias", aggregator_bias_});
  all.push_back({"reward.slope", slope_});
  return all;
}

void RewardHead::copy_from(const RewardHead& other) {
  LMOE_CHECK_ARG(other.shape_ == shape_, "[reward_head] given ", other.shape_.heads, " heads, ",
                 other.shape_.passes, " passes, width ", other.shape_.hidden_size, ", expected ",
                 shape_.heads, ", ", shape_.passes, ", ", shape_.hidden_size);
  const c10::NoGradGuard no_grad;
  const std::vector<NamedTensor> from = other.parameters(), to = parameters();
  for (size_t i = 0; i < to.size(); ++i) at::Tensor(to[i].tensor).copy_(from[i].tensor);
}

void RewardHead::begin_with(const RewardHead& other, const std::vector<int64_t>& heads) {
  const RewardHeadShape& given = other.shape_;
  LMOE_CHECK_ARG(shape_.passes == 1 && given.passes == 1,
                 "[reward_head] one that joins passes cannot begin as another, nor another as it: "
                 "given ",
                 given.passes, " passes, expected 1, and here ", shape_.passes);
  LMOE_CHECK_ARG(given.hidden_size == shape_.hidden_size, "[reward_head] given heads of width ",
                 given.hidden_size, ", expected ", shape_.hidden_size);
  LMOE_CHECK_ARG(std::ssize(heads) == shape_.heads, "[reward_head] given what ", heads.size(),
                 " heads begin as, expected ", shape_.heads);
  for (const int64_t head : heads)
    LMOE_CHECK_ARG(head >= 0 && head < given.heads, "[reward_head] given head ", head,
                   ", expected one of ", given.heads);
  const c10::NoGradGuard no_grad;
  const at::Tensor chosen = at::tensor(heads, at::kLong).to(other.value_.device());
  value_.copy_(other.value_.index_select(/*dim=*/0, chosen));
}

void RewardHead::save(const std::filesystem::path& file) const {
  std::vector<io::TensorView> views;
  const std::vector<NamedTensor> all = parameters();
  for (const NamedTensor& parameter : all)
    views.push_back(view_of(parameter.name, parameter.tensor));
  io::write_safetensors(file, views, {{"format", "pt"}});
}

std::unique_ptr<RewardHead> RewardHead::load(const std::filesystem::path& path) {
  const auto file = io::SafetensorsFile::open(path);
  const std::vector<int64_t> value = sizes_in(*file, path, "reward.value", 2);
  RewardHeadShape shape{.hidden_size = value[1], .heads = value[0], .passes = 1};
  const bool is_double = file->find("reward.value")->dtype == io::DType::kF64;
  if (file->find("reward.aggregator") != nullptr) {
    const std::vector<int64_t> sizes = sizes_in(*file, path, "reward.aggregator", 3);
    LMOE_CHECK_DATA(
        shape.hidden_size > 0 && sizes[2] % shape.hidden_size == 0 && sizes[2] > shape.hidden_size,
        "[load_reward_head] ", path.string(), ": reward.aggregator joins ", sizes[2],
        " numbers, expected a multiple of the width ", shape.hidden_size);
    shape.passes = sizes[2] / shape.hidden_size;
  }
  auto head = std::make_unique<RewardHead>(shape, /*seed=*/0, is_double ? at::kDouble : at::kFloat);
  const c10::NoGradGuard no_grad;
  for (const NamedTensor& own : head->parameters())
    copy_from_view(file->claim(own.name, own.tensor.sizes().vec()), own.tensor);
  file->check_all_claimed("load_reward_head");
  return head;
}

at::Tensor preference_loss_sum(const at::Tensor& chosen, const at::Tensor& rejected) {
  return -at::log_sigmoid(chosen - rejected).sum();
}

at::Tensor last_rows(const std::vector<Segment>& segments) {
  at::Tensor rows = at::empty({static_cast<int64_t>(segments.size())}, at::kLong);
  int64_t* values = rows.mutable_data_ptr<int64_t>();
  for (const Segment& segment : segments) *values++ = segment.start + segment.length - 1;
  return rows;
}

}  // namespace lmoe::nn
