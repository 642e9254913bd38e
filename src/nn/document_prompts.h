// Rows that no token stands for, in front of documents.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "nn/forward_context.h"

namespace lmoe::nn {

/// What a mixture puts in front of documents.
class DocumentPrompts {
 public:
  virtual ~DocumentPrompts() = default;
  /// P: positions that every document has in front.
  virtual int64_t positions() const = 0;
  /// embedded [N, H]: what the tokens of `context.segments` enter the first layer as -> for each
  /// document that begins in this forward (past 0), in order, its rows: [D, P, H], of the same
  /// type.
  virtual at::Tensor choose(const at::Tensor& embedded, ForwardContext& context) const = 0;
};

/// The socket of a whole decoder. While a mixture holds it, the layers see longer documents;
/// outside Decoder::forward nobody does: segments, hidden states, the router log and the lengths in
/// the KV cache are those of the tokens.
class PromptSocket {
 public:
  explicit PromptSocket(int64_t hidden_size) : hidden_size_(hidden_size) {}

  int64_t hidden_size() const { return hidden_size_; }
  bool is_taken() const { return prompts_ != nullptr; }
  const DocumentPrompts& prompts() const { return *prompts_; }
  /// Throws kInvalidArgument when another mixture holds it.
  void check_free() const;
  void plug(std::shared_ptr<const DocumentPrompts> prompts);
  void unplug() { prompts_ = nullptr; }

 private:
  int64_t hidden_size_;
  std::shared_ptr<const DocumentPrompts> prompts_;
};

/// Documents as the layers see them.
struct LongerDocuments {
  std::vector<Segment> segments;  ///< each `positions` longer, or so much further on
  at::Tensor hidden;              ///< [N', H]
  at::Tensor token_rows;          ///< [N] int64: where the tokens are among these
};

/// prompts [D, P, H] go in front of those documents that begin here.
LongerDocuments put_in_front(const at::Tensor& prompts,
                             const at::Tensor& embedded,
                             const std::vector<Segment>& segments);

/// Of what the layers logged, the rows of tokens, added to `log`.
void add_token_records(RouterLog& longer, const at::Tensor& token_rows, RouterLog& log);

}  // namespace lmoe::nn
