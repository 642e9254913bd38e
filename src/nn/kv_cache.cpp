#include "nn/kv_cache.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"

namespace lmoe::nn {

namespace {

constexpr int64_t kSmallestCapacity = 64;

/// A larger copy; rows and positions that are new stay undefined.
at::Tensor grown(const at::Tensor& old, int64_t slots, int64_t capacity) {
  std::vector<int64_t> shape = old.sizes().vec();
  shape[0] = slots;
  shape[1] = capacity;
  at::Tensor result = at::empty(shape, old.options());
  if (old.size(0) > 0 && old.size(1) > 0)
    result.narrow(0, 0, old.size(0)).narrow(1, 0, old.size(1)).copy_(old);
  return result;
}

int64_t doubled_to_hold(int64_t current, int64_t needed) { return std::max(needed, 2 * current); }

}  // namespace

KvCache::KvCache(int64_t layers, int64_t kv_heads, int64_t head_dim, at::ScalarType dtype)
    : kv_heads_(kv_heads), head_dim_(head_dim), dtype_(dtype) {
  const at::Tensor empty = at::empty({0, 0, kv_heads_, head_dim_}, dtype_);
  keys_.assign(static_cast<size_t>(layers), empty);
  values_.assign(static_cast<size_t>(layers), empty);
}

int64_t KvCache::open_slot() {
  if (!free_slots_.empty()) {
    const int64_t slot = free_slots_.back();
    free_slots_.pop_back();
    return slot;
  }
  const auto slot = static_cast<int64_t>(lengths_.size());
  lengths_.push_back(0);
  resize(std::max<int64_t>(slot + 1, slots_), capacity_);
  return slot;
}

void KvCache::close_slot(int64_t slot) {
  lengths_[static_cast<size_t>(slot)] = 0;
  free_slots_.push_back(slot);
}

void KvCache::truncate(int64_t slot, int64_t length) {
  int64_t& current = lengths_[static_cast<size_t>(slot)];
  LMOE_CHECK_ARG(length >= 0 && length <= current, "[kv_cache] cannot cut a sequence of ", current,
                 " tokens to ", length);
  current = length;
}

void KvCache::add_first_pass() {
  if (!first_pass_keys_.empty()) return;
  LMOE_ASSERT(std::all_of(lengths_.begin(), lengths_.end(), [](int64_t n) { return n == 0; }));
  for (const at::Tensor& keys : keys_) {
    first_pass_keys_.push_back(at::empty_like(keys));
    first_pass_values_.push_back(at::empty_like(keys));
  }
}

void KvCache::reserve(int64_t length) { resize(slots_, length); }

void KvCache::resize(int64_t slots, int64_t length) {
  if (slots > slots_) slots = doubled_to_hold(slots_, slots);
  int64_t capacity = capacity_;
  if (length > capacity_)
    capacity = std::max(kSmallestCapacity, doubled_to_hold(capacity_, length));
  if (slots <= slots_ && capacity <= capacity_) return;
  slots_ = std::max(slots, slots_);
  capacity_ = capacity;
  for (std::vector<at::Tensor>* part : {&keys_, &values_, &first_pass_keys_, &first_pass_values_})
    for (at::Tensor& tensor : *part) tensor = grown(tensor, slots_, capacity_);
  for (auto& [owner, tensor] : notes_) tensor = grown(tensor, slots_, capacity_);
  for (auto& [owner, tensor] : memory_) tensor = grown(tensor, slots_, tensor.size(1));
}

at::Tensor& KvCache::notes(const void* owner, int64_t width, at::ScalarType dtype) {
  at::Tensor& tensor = notes_[owner];
  if (!tensor.defined()) tensor = at::zeros({slots_, capacity_, width}, dtype);
  return tensor;
}

at::Tensor& KvCache::memory(const void* owner, int64_t width, at::ScalarType dtype) {
  at::Tensor& tensor = memory_[owner];
  if (!tensor.defined()) tensor = at::zeros({slots_, width}, dtype);
  return tensor;
}

}  // namespace lmoe::nn
