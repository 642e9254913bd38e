#include "arch/base_model.h"

#include <algorithm>

#include "arch/rope_rows.h"
#include "arch/tensor_names.h"
#include "base/error.h"

namespace lmoe::arch {

bool BaseModel::has(TensorRole role, int layer) const {
  const std::string file_name = tensor_name(role, layer);
  return !file_name.empty() && source->find(file_name) != nullptr;
}

void BaseModel::read(TensorRole role,
                     int layer,
                     const std::vector<int64_t>& shape,
                     std::span<float> out) {
  const std::string file_name = tensor_name(role, layer);
  LMOE_CHECK_DATA(!file_name.empty(), "[load_base] ", path, ": a model of the family ",
                  config.family, " with this configuration has no such tensor (role ",
                  static_cast<int>(role), ", layer ", layer, ")");
  io::to_float32(source->claim(file_name, shape), out);
  source->forget_pages();
  if (rope_rows_interleaved && (role == TensorRole::kQ || role == TensorRole::kQBias))
    unpermute_rope_rows(out, config.num_attention_heads, config.head_dim);
  if (rope_rows_interleaved && (role == TensorRole::kK || role == TensorRole::kKBias))
    unpermute_rope_rows(out, config.num_key_value_heads, config.head_dim);
  if (norms_stored_plus_one && is_norm(role))
    std::transform(out.begin(), out.end(), out.begin(), [](float value) { return value - 1; });
}

void BaseModel::check_all_read() const { source->check_all_claimed("load_base"); }

int64_t BaseModel::parameter_count() const {
  int64_t count = 0;
  for (const ExpectedTensor& expected : expected_tensors(config)) {
    int64_t elements = 1;
    for (const int64_t size : expected.shape) elements *= size;
    count += elements;
  }
  return count;
}

ContentHash BaseModel::content_hash(const HashProgress& progress) const {
  return {hash_weights(*source, progress), hash_tokenizer()};
}

std::string BaseModel::module_path(TensorRole role, int layer) {
  const char* projection = nullptr;
  switch (role) {
    case TensorRole::kQ:
      projection = "self_attn.q_proj";
      break;
    case TensorRole::kK:
      projection = "self_attn.k_proj";
      break;
    case TensorRole::kV:
      projection = "self_attn.v_proj";
      break;
    case TensorRole::kO:
      projection = "self_attn.o_proj";
      break;
    case TensorRole::kGate:
      projection = "mlp.gate_proj";
      break;
    case TensorRole::kUp:
      projection = "mlp.up_proj";
      break;
    case TensorRole::kDown:
      projection = "mlp.down_proj";
      break;
    default:
      fail(ErrorCode::kInternal, "[module_path] role ", static_cast<int>(role),
           " is not a projection");
  }
  return concat("model.layers.", layer, ".", projection);
}

}  // namespace lmoe::arch
