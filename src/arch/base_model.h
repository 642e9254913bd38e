// Opening a frozen base model: a GGUF file, a Hugging Face folder, or the name of a model lmoe
// knows ("smollm2-135m").
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arch/content_hash.h"
#include "arch/model_config.h"
#include "io/stored_tensor.h"
#include "io/weight_source.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace lmoe::arch {

/// Roles a tensor can play in a decoder; `layer` is -1 outside the layers.
enum class TensorRole {
  kEmbedding,
  kFinalNorm,
  kLmHead,
  kInputNorm,
  kPostAttentionNorm,
  kPreFeedforwardNorm,
  kPostFeedforwardNorm,
  kQ,
  kK,
  kV,
  kO,
  kQBias,
  kKBias,
  kVBias,
  kOBias,
  kQNorm,
  kKNorm,
  kGate,
  kUp,
  kDown,
  kGateBias,
  kUpBias,
  kDownBias,
};

/// One frozen model on disk: everything known of it, nothing loaded yet.
///
/// `weights` are claimed by role; rows of q and k that GGUF stores interleaved come back in Hugging
/// Face's order, and Gemma norms that GGUF stores with the one added come back as Hugging Face
/// stores them.
class BaseModel {
 public:
  std::string name;  ///< as the user wrote it
  std::string path;  ///< resolved file or folder
  ModelConfig config;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::optional<std::string> chat_template;  ///< Jinja source
  std::string bos_token, eos_token;          ///< text, for the template; may be empty

  bool has(TensorRole role, int layer) const;
  /// float32 values in row-major order, claimed. Throws kCorruptData (missing, other shape).
  void read(TensorRole role, int layer, const std::vector<int64_t>& shape, std::span<float> out);
  /// What the file has a tensor as. Throws kCorruptData (missing).
  io::DType stored_type(TensorRole role, int layer) const;
  /// The same as the file has it: bytes of its type, rows in the order of `read`. For matrices.
  /// Throws kCorruptData (missing, other shape), kUnsupported (integers).
  io::StoredTensor read_stored(TensorRole role, int layer, const std::vector<int64_t>& shape);
  /// Ids that end an answer or a turn, each once: the tokenizer's EOS first, then those of the
  /// configuration, then special tokens that chat models end turns with ("<|im_end|>",
  /// "<|eot_id|>", "<end_of_turn>", …), as far as the vocabulary has them.
  std::vector<text::TokenId> end_tokens() const;
  /// Elements of all tensors; tied ones count once.
  int64_t parameter_count() const;
  /// Throws kCorruptData naming tensors nobody read.
  void check_all_read() const;
  /// Takes as long as reading the file once; nothing is kept.
  ContentHash content_hash(const HashProgress& progress = {}) const;

  /// The Hugging Face module path of a projection: "model.layers.3.self_attn.q_proj".
  static std::string module_path(TensorRole role, int layer);

  std::unique_ptr<io::WeightSource> source;
  /// File's tensor name of a role; empty when the family has none.
  std::function<std::string(TensorRole, int)> tensor_name;
  /// SHA-256 of what the files say of the tokenizer.
  std::function<std::string()> hash_tokenizer;
  bool rope_rows_interleaved = false;  ///< GGUF of the llama architecture
  bool norms_stored_plus_one = false;  ///< GGUF of Gemma

 private:
  /// Throws kCorruptData where the family has no such tensor.
  std::string file_name_of(TensorRole role, int layer) const;
  /// Heads whose rows the file has interleaved; 0 where it has them as they are wanted.
  int64_t interleaved_heads(TensorRole role) const;
};

/// Throws kNotFound (with the names known), kCorruptData, kUnsupported (family or feature by name).
std::unique_ptr<BaseModel> open_base_model(const std::string& name_or_path);

/// Names of models that come with lmoe and where they were found (empty when not installed).
std::vector<std::pair<std::string, std::string>> known_base_models();

}  // namespace lmoe::arch
