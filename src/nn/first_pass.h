// Two passes through one decoder: what the first ends with, a mixture may decide from in the
// second.
#pragma once

namespace lmoe::nn {

/// The socket of a whole decoder. While a mixture holds it, Decoder::forward runs a first pass
/// without gradients, in which the mixture keeps out (or takes part by constant weights), and hands
/// its last hidden states to the second as `ForwardContext::last_hidden`. Each pass has its own
/// keys and values.
class FirstPassSocket {
 public:
  bool is_taken() const { return is_taken_; }
  /// Throws kInvalidArgument when another mixture holds it.
  void check_free() const;
  void plug();
  void unplug() { is_taken_ = false; }

 private:
  bool is_taken_ = false;
};

}  // namespace lmoe::nn
