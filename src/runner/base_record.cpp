#include "runner/base_record.h"

#include "base/error.h"
#include "base/files.h"

namespace lmoe::runner {

namespace {

constexpr const char* kWeightsKey = "weights_sha256";
constexpr const char* kTokenizerKey = "tokenizer_sha256";
constexpr const char* kFrozenKey = "frozen_weights";

bool is_rounding(arch::FrozenWeights frozen) {
  return frozen != arch::FrozenWeights::kDense && frozen != arch::FrozenWeights::kFile;
}

bool has_text(const Json& record, const char* key) {
  return record.contains(key) && record[key].is_string();
}

/// Everything but name and hashes: cheap to compare, and what a message can explain.
Json shapes_of(const arch::ModelConfig& config) {
  return {{"family", config.family},
          {"vocab_size", config.vocab_size},
          {"hidden_size", config.hidden_size},
          {"intermediate_size", config.intermediate_size},
          {"num_hidden_layers", config.num_hidden_layers},
          {"num_attention_heads", config.num_attention_heads},
          {"num_key_value_heads", config.num_key_value_heads},
          {"head_dim", config.head_dim}};
}

}  // namespace

Json describe_base(const arch::BaseModel& base,
                   const arch::ContentHash& hash,
                   arch::FrozenWeights frozen) {
  Json record = {{"name", base.name}, {kWeightsKey, hash.weights}, {kTokenizerKey, hash.tokenizer}};
  record.update(shapes_of(base.config));
  if (is_rounding(frozen)) record[kFrozenKey] = enum_name(frozen);
  return record;
}

arch::FrozenWeights frozen_weights_of(const Json& record) {
  if (!record.contains(kFrozenKey)) return arch::FrozenWeights::kDense;
  for (const auto& [name, value] : enum_names(arch::FrozenWeights()))
    if (is_rounding(value) && record[kFrozenKey] == name) return value;
  fail(ErrorCode::kCorruptData, "[load_run] base.json: ", kFrozenKey, ": given ",
       record[kFrozenKey].dump(), ", expected bf16, int8 or int4");
}

Json read_base_record(const fs::path& run) {
  const fs::path path = run / "base.json";
  if (!fs::exists(path))
    fail(ErrorCode::kNotFound, "[load_run] ", run.string(),
         " has no base.json; expected the folder of a finished run or of a checkpoint");
  Json record = Json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  LMOE_CHECK_DATA(record.is_object() && has_text(record, "name") && has_text(record, kWeightsKey) &&
                      has_text(record, kTokenizerKey),
                  "[load_run] ", path.string(), ": expected a JSON object with texts \"name\", \"",
                  kWeightsKey, "\" and \"", kTokenizerKey, "\"");
  return record;
}

void check_same_base(const Json& record,
                     const arch::BaseModel& base,
                     const fs::path& run,
                     const arch::HashProgress& progress) {
  const std::string trained_on = record["name"].get<std::string>();
  const Json shapes = shapes_of(base.config);
  for (const auto& [key, value] : shapes.items())
    LMOE_CHECK_ARG(!record.contains(key) || record[key] == value, "[load_run] ", run.string(),
                   " was trained on another base model (", trained_on, "): its ", key, " is ",
                   record[key].dump(), ", that of ", base.name, " is ", value.dump());
  const std::string other =
      difference({record[kWeightsKey].get<std::string>(), record[kTokenizerKey].get<std::string>()},
                 base.content_hash(progress));
  LMOE_CHECK_ARG(other.empty(), "[load_run] ", run.string(), " was trained on another base model (",
                 trained_on, "): the SHA-256 of its ", other, " is not that of ", base.name);
}

}  // namespace lmoe::runner
