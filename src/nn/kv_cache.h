// Keys and values of past tokens, one slot per sequence, grown by doubling.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <vector>

namespace lmoe::nn {

class KvCache {
 public:
  KvCache(int64_t layers, int64_t kv_heads, int64_t head_dim, at::ScalarType dtype);

  int64_t open_slot();
  void close_slot(int64_t slot);
  int64_t length(int64_t slot) const { return lengths_[static_cast<size_t>(slot)]; }
  /// Forgets positions from `length` on.
  void truncate(int64_t slot, int64_t length);
  /// Makes room for `length` positions in all slots.
  void reserve(int64_t length);
  /// After a forward: the segment's tokens now belong to the slot.
  void advance(int64_t slot, int64_t tokens) { lengths_[static_cast<size_t>(slot)] += tokens; }

  /// [slots, capacity, kv_heads, head_dim]; rows past a slot's length are undefined. A first pass
  /// has keys and values of its own, made when they are first asked for.
  at::Tensor& keys(int64_t layer, bool is_first_pass) {
    return (is_first_pass ? first_pass_keys_ : keys_)[static_cast<size_t>(layer)];
  }
  at::Tensor& values(int64_t layer, bool is_first_pass) {
    return (is_first_pass ? first_pass_values_ : values_)[static_cast<size_t>(layer)];
  }
  /// Makes room for the keys and values of a first pass; all slots must be empty then.
  void add_first_pass();

  /// [slots, capacity, width]: what `owner` has to remember of each token; rows past a slot's
  /// length are undefined.
  at::Tensor& notes(const void* owner, int64_t width, at::ScalarType dtype);
  /// [slots, width]: what `owner` has to remember of each sequence; undefined before it is written.
  at::Tensor& memory(const void* owner, int64_t width, at::ScalarType dtype);

 private:
  void resize(int64_t slots, int64_t length);

  int64_t kv_heads_, head_dim_, slots_ = 0, capacity_ = 0;
  at::ScalarType dtype_;
  std::vector<at::Tensor> keys_, values_, first_pass_keys_, first_pass_values_;
  std::map<const void*, at::Tensor> notes_, memory_;
  std::vector<int64_t> lengths_;
  std::vector<int64_t> free_slots_;
};

}  // namespace lmoe::nn
