#include "models/decoder.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "models/decoder_weights.h"
#include "models/rope_frequencies.h"
#include "nn/decoder_layer.h"
#include "nn/dispatch.h"
#include "nn/document_cache.h"
#include "nn/document_prompts.h"
#include "nn/kv_cache.h"
#include "nn/matrix_product.h"
#include "nn/panel_product.h"
#include "nn/recomputed_layer.h"
#include "nn/rms_norm.h"

namespace lmoe::models {

struct Decoder::Parts {
  arch::ModelConfig config;
  nn::FrozenMatrix embedding, lm_head;
  at::Tensor final_norm;
  double embedding_multiplier = 1;  ///< rounded to the model's type, as transformers does
  std::vector<std::unique_ptr<nn::DecoderLayer>> layers;
  nn::Sockets sockets{{}, {}};
  nn::FirstPassSocket first_pass;
  std::unique_ptr<nn::PromptSocket> prompts;
  WeightSize size;

  /// The layers and the final norm.
  at::Tensor run(const at::Tensor& ids, nn::ForwardContext& context) const;
  /// The same over documents with prompts in front; rows of tokens alone.
  at::Tensor run_with_prompts(const at::Tensor& ids, nn::ForwardContext& context) const;
  /// From the layer `first` on, and the final norm.
  at::Tensor run_last(at::Tensor hidden, nn::ForwardContext& context, size_t first) const;
  /// What enters the first layer.
  at::Tensor embed(const at::Tensor& ids) const;
  /// Through the first `count` layers.
  at::Tensor run_first(at::Tensor hidden, nn::ForwardContext& context, size_t count) const;
  /// Those below everything that is plugged in: nothing there changes or has a gradient.
  size_t frozen_layers() const;
  /// What a first pass ends with.
  at::Tensor first_hidden(const at::Tensor& ids, const nn::ForwardContext& context) const;
};

namespace {

nn::GatedActivation activation_of(const arch::ModelConfig& config) {
  switch (config.hidden_act) {
    case arch::Activation::kSilu:
      return nn::GatedActivation::kSilu;
    case arch::Activation::kGeluTanh:
      return nn::GatedActivation::kGeluTanh;
    case arch::Activation::kGelu:
      return nn::GatedActivation::kGelu;
  }
  fail(ErrorCode::kInternal, "[load_base] unknown activation");
}

nn::AttentionShape attention_shape(const arch::ModelConfig& config, int64_t layer) {
  const auto dim = static_cast<double>(config.head_dim);
  const auto index = static_cast<size_t>(layer);
  nn::AttentionShape shape;
  shape.num_heads = config.num_attention_heads;
  shape.num_kv_heads = config.num_key_value_heads;
  shape.head_dim = config.head_dim;
  shape.scale = 1 / std::sqrt(config.query_pre_attn_scalar.value_or(dim));
  shape.sliding_window = index < config.sliding_window.size() ? config.sliding_window[index] : 0;
  shape.softcap = config.attn_logit_softcapping.value_or(0);
  return shape;
}

void check_segments(const nn::ForwardContext& context, const at::Tensor& ids, int64_t vocab_size) {
  LMOE_CHECK_ARG(ids.dim() == 1 && ids.scalar_type() == at::kLong && ids.size(0) > 0,
                 "[forward] ids must be [N] int64 with N > 0: given ", ids.sizes(), " ",
                 ids.scalar_type());
  int64_t next = 0;
  for (const nn::Segment& segment : context.segments) {
    LMOE_CHECK_ARG(segment.start == next && segment.length > 0 && segment.past >= 0,
                   "[forward] segments must follow each other: given start ", segment.start,
                   ", length ", segment.length, ", expected start ", next);
    LMOE_CHECK_ARG(context.kv_cache == nullptr
                       ? segment.past == 0
                       : segment.past == context.kv_cache->length(segment.slot),
                   "[forward] a segment's past of ", segment.past,
                   " is not the number of its tokens in the KV cache");
    check_passages(segment.passages, "[forward]");
    LMOE_CHECK_ARG(context.kv_cache != nullptr || segment.passages.empty() ||
                       segment.passages.back().end <= segment.length,
                   "[forward] a passage ends behind its document: given token ",
                   segment.passages.back().end, " of ", segment.length);
    next += segment.length;
  }
  LMOE_CHECK_ARG(next == ids.size(0), "[forward] segments hold ", next, " tokens: given ",
                 ids.size(0), " ids");
  const auto [smallest, largest] = at::aminmax(ids);
  LMOE_CHECK_ARG(smallest.item<int64_t>() >= 0 && largest.item<int64_t>() < vocab_size,
                 "[forward] token ids must be in [0, ", vocab_size, "): given ",
                 smallest.item<int64_t>(), " to ", largest.item<int64_t>());
}

void check_devices(const DecoderWeights& weights) {
  const at::Device device = weights.final_norm.device();
  const auto check = [&](const nn::FrozenMatrix& matrix, const std::string& name) {
    if (device.is_cpu() || matrix.is_dense()) return;
    fail(ErrorCode::kUnsupported, "[load_base] ", name,
         " is kept in a smaller type, which is expanded on the CPU alone: given a model on ",
         device, "; hint: frozen_weights=dense");
  };
  check(weights.embedding, "the embedding");
  check(weights.lm_head, "the head");
  for (const LayerWeights& layer : weights.layers)
    for (const auto* linears : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down})
      for (const nn::FrozenLinear& linear : *linears) check(linear.weight, linear.module_path);
}

}  // namespace

Decoder::Decoder(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Decoder::~Decoder() = default;

std::unique_ptr<Decoder> Decoder::load(arch::BaseModel& base, const DecoderOptions& options) {
  return build(base.config, read_decoder_weights(base, options));
}

std::unique_ptr<Decoder> Decoder::build(arch::ModelConfig config, DecoderWeights weights) {
  check_devices(weights);
  auto parts = std::make_unique<Parts>();
  parts->config = std::move(config);
  parts->size = size_of(weights);
  parts->embedding = std::move(weights.embedding);
  parts->final_norm = std::move(weights.final_norm);
  parts->lm_head = std::move(weights.lm_head);
  parts->embedding_multiplier =
      at::scalar_tensor(parts->config.embedding_multiplier, parts->embedding.dtype())
          .item<double>();
  for (LayerWeights& layer : weights.layers) {
    const auto index = static_cast<int>(parts->layers.size());
    parts->layers.push_back(std::make_unique<nn::DecoderLayer>(
        index, std::move(layer.norms), attention_shape(parts->config, index),
        activation_of(parts->config), std::move(layer.qkv), std::move(layer.o),
        std::move(layer.gate_up), std::move(layer.down)));
    for (nn::ProjectionGroup* group : parts->layers.back()->projection_groups())
      parts->sockets.groups.push_back(group);
    parts->sockets.mlps.push_back(&parts->layers.back()->mlp());
  }
  parts->sockets.first_pass = &parts->first_pass;
  parts->prompts = std::make_unique<nn::PromptSocket>(parts->config.hidden_size);
  parts->sockets.prompts = parts->prompts.get();
  return std::unique_ptr<Decoder>(new Decoder(std::move(parts)));
}

const arch::ModelConfig& Decoder::config() const { return parts_->config; }
at::ScalarType Decoder::dtype() const { return parts_->embedding.dtype(); }
at::Device Decoder::device() const { return parts_->embedding.device(); }
const nn::FrozenMatrix& Decoder::lm_head() const { return parts_->lm_head; }
int64_t Decoder::parameter_count() const { return parts_->size.elements; }
int64_t Decoder::weight_bytes() const { return parts_->size.bytes; }

const nn::Sockets& Decoder::sockets() const { return parts_->sockets; }

int64_t Decoder::prompt_positions() const {
  return parts_->prompts->is_taken() ? parts_->prompts->prompts().positions() : 0;
}

at::Tensor Decoder::forward(const at::Tensor& ids, nn::ForwardContext& context) const {
  const Parts& p = *parts_;
  check_segments(context, ids, p.config.vocab_size);
  if (context.kv_cache != nullptr && !device().is_cpu())
    fail(ErrorCode::kUnsupported, "[forward] a KV cache lies in CPU memory: given a model on ",
         device(), "; hint: forward whole documents, without one");
  if (!context.positions.defined()) context.positions = nn::make_positions(context.segments);
  if (context.kv_cache != nullptr)
    for (const nn::Segment& segment : context.segments)
      context.kv_cache->reserve(prompt_positions() + segment.past + segment.length);

  if (p.first_pass.is_taken() && !context.last_hidden.defined())
    context.last_hidden = p.first_hidden(ids, context);
  at::Tensor hidden =
      p.prompts->is_taken() ? p.run_with_prompts(ids, context) : p.run(ids, context);
  if (context.kv_cache != nullptr)
    for (const nn::Segment& segment : context.segments)
      context.kv_cache->advance(segment.slot, segment.length);
  return hidden;
}

at::Tensor Decoder::Parts::run(const at::Tensor& ids, nn::ForwardContext& context) const {
  const size_t frozen = frozen_layers();
  const bool keeps_prefix =
      context.frozen_prefix_cache != nullptr && context.kv_cache == nullptr && frozen > 0;
  const auto run_frozen = [&](const at::Tensor& own_ids, nn::ForwardContext& own) {
    return run_first(embed(own_ids), own, frozen);
  };
  context.embedded = embed(ids);
  at::Tensor hidden =
      keeps_prefix
          ? nn::hidden_of_documents(ids, context.segments, *context.frozen_prefix_cache, run_frozen)
          : run_first(context.embedded, context, frozen);
  return run_last(std::move(hidden), context, frozen);
}

at::Tensor Decoder::Parts::run_with_prompts(const at::Tensor& ids,
                                            nn::ForwardContext& context) const {
  context.embedded = embed(ids);
  const at::Tensor chosen = prompts->prompts().choose(context.embedded, context);
  nn::LongerDocuments longer = nn::put_in_front(chosen, context.embedded, context.segments);
  nn::RouterLog log;
  nn::ForwardContext own = context;
  own.segments = longer.segments;
  own.positions = nn::make_positions(own.segments);
  own.embedded = longer.hidden;
  if (context.router_log != nullptr) {
    log.keeps_inputs = context.router_log->keeps_inputs;
    log.segments = own.segments;
    own.router_log = &log;
  }
  // Prompts learn through all layers, also those below the lowest adapter.
  const at::Tensor hidden = run_last(std::move(longer.hidden), own, /*first=*/0);
  if (context.router_log != nullptr)
    nn::add_token_records(log, longer.token_rows, *context.router_log);
  return hidden.index_select(/*dim=*/0, longer.token_rows);
}

at::Tensor Decoder::Parts::run_last(at::Tensor hidden,
                                    nn::ForwardContext& context,
                                    size_t first) const {
  nn::RopeTable rope;
  if (first < layers.size())
    rope = make_rope_table(config, context, embedding.dtype(), embedding.device());
  for (size_t i = first; i < layers.size(); ++i)
    hidden = context.recompute_for != nullptr
                 ? nn::forward_recomputed(*layers[i], hidden, rope, context)
                 : layers[i]->forward(hidden, rope, context);
  return nn::rms_norm(hidden, final_norm, config.rms_norm_eps);
}

at::Tensor Decoder::Parts::embed(const at::Tensor& ids) const {
  const at::Tensor rows = embedding.gather(ids);
  return embedding_multiplier != 1 ? rows * embedding_multiplier : rows;
}

at::Tensor Decoder::Parts::run_first(at::Tensor hidden,
                                     nn::ForwardContext& context,
                                     size_t count) const {
  if (count == 0) return hidden;
  const nn::RopeTable rope =
      make_rope_table(config, context, embedding.dtype(), embedding.device());
  for (size_t i = 0; i < count; ++i) hidden = layers[i]->forward(hidden, rope, context);
  return hidden;
}

size_t Decoder::Parts::frozen_layers() const {
  const auto lowest = std::find_if(layers.begin(), layers.end(),
                                   [](const auto& layer) { return layer->is_plugged(); });
  return static_cast<size_t>(lowest - layers.begin());
}

at::Tensor Decoder::Parts::first_hidden(const at::Tensor& ids,
                                        const nn::ForwardContext& context) const {
  const c10::NoGradGuard no_grad;
  const auto run_alone = [&](const at::Tensor& own_ids, nn::ForwardContext& own) {
    own.is_first_pass = true;
    return run(own_ids, own);
  };
  if (context.first_pass_cache != nullptr && context.kv_cache == nullptr)
    return nn::hidden_of_documents(ids, context.segments, *context.first_pass_cache, run_alone);
  nn::ForwardContext first;
  first.segments = context.segments;
  first.positions = context.positions;
  first.kv_cache = context.kv_cache;
  first.disabled_expert = context.disabled_expert;
  if (first.kv_cache != nullptr) first.kv_cache->add_first_pass();
  return run_alone(ids, first);
}

at::Tensor Decoder::embed(const at::Tensor& ids) const { return parts_->embed(ids); }

at::Tensor Decoder::logits(const at::Tensor& hidden) const {
  const nn::FrozenMatrix& head = parts_->lm_head;
  at::Tensor logits;
  if (head.is_dense()) {
    logits = nn::product(hidden, head.expand());
  } else {
    logits = at::empty({hidden.size(0), head.rows()}, hidden.options());
    nn::product_in_panels(hidden, head, logits);
  }
  logits = logits.to(nn::accumulate_dtype(dtype()));
  const std::optional<double>& cap = parts_->config.final_logit_softcapping;
  return cap ? at::tanh(logits / *cap) * *cap : logits;
}

}  // namespace lmoe::models
