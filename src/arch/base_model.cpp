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

std::string BaseModel::file_name_of(TensorRole role, int layer) const {
  std::string file_name = tensor_name(role, layer);
  LMOE_CHECK_DATA(!file_name.empty(), "[load_base] ", path, ": a model of the family ",
                  config.family, " with this configuration has no such tensor (role ",
                  static_cast<int>(role), ", layer ", layer, ")");
  return file_name;
}

io::DType BaseModel::stored_type(TensorRole role, int layer) const {
  const std::string file_name = file_name_of(role, layer);
  const io::TensorView* view = source->find(file_name);
  LMOE_CHECK_DATA(view != nullptr, "[load_base] ", path, " has no tensor \"", file_name, "\"");
  return view->dtype;
}

int64_t BaseModel::interleaved_heads(TensorRole role) const {
  if (!rope_rows_interleaved) return 0;
  if (role == TensorRole::kQ || role == TensorRole::kQBias) return config.num_attention_heads;
  if (role == TensorRole::kK || role == TensorRole::kKBias) return config.num_key_value_heads;
  return 0;
}

void BaseModel::read(TensorRole role,
                     int layer,
                     const std::vector<int64_t>& shape,
                     std::span<float> out) {
  io::to_float32(source->claim(file_name_of(role, layer), shape), out);
  source->forget_pages();
  if (const int64_t heads = interleaved_heads(role); heads > 0)
    unpermute_rope_rows(out, heads, config.head_dim);
  if (norms_stored_plus_one && is_norm(role))
    std::transform(out.begin(), out.end(), out.begin(), [](float value) { return value - 1; });
}

io::StoredTensor BaseModel::read_stored(TensorRole role,
                                        int layer,
                                        const std::vector<int64_t>& shape) {
  const io::TensorView& view = source->claim(file_name_of(role, layer), shape);
  io::check_floating(view);
  io::StoredTensor stored{
      view.name, view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}};
  source->forget_pages();
  if (const int64_t heads = interleaved_heads(role); heads > 0)
    unpermute_rope_rows(std::span<std::byte>(stored.bytes), heads, config.head_dim);
  return stored;
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
