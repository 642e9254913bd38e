#include "arch/tokenizer_files.h"

#include "arch/config_reader.h"
#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "io/strict_json.h"

namespace lmoe::arch {
namespace {

/// "bos_token" is text or an object with "content"; empty when missing.
std::string special_token_text(const HuggingFaceConfig& config, const char* key) {
  if (config.has(key) && config.json()[key].is_object())
    return config.section(key).text("content", "");
  return config.text(key, "");
}

/// One template, or the one called "default" of a list of named ones.
std::optional<std::string> template_of(const HuggingFaceConfig& config) {
  if (!config.has("chat_template")) return std::nullopt;
  const Json& value = config.json()["chat_template"];
  if (!value.is_array()) return config.text("chat_template");
  for (const Json& item : value) {
    const HuggingFaceConfig named(item, config.where("chat_template"));
    if (named.text("name") == "default") return named.text("template");
  }
  return std::nullopt;
}

/// Text of the token whose id a key holds; empty when missing.
std::string token_text(const io::GgufFile& file,
                       const char* key,
                       const std::vector<std::string>& tokens) {
  if (!file.has(key)) return "";
  const int64_t id = check_range(file.get_int(key, 0), {0, static_cast<int64_t>(tokens.size()) - 1},
                                 "[load_base] " + file.description() + ": " + key);
  return tokens[static_cast<size_t>(id)];
}

}  // namespace

void read_tokenizer_files(const fs::path& folder, BaseModel& model) {
  const fs::path config_path = folder / "tokenizer_config.json";
  if (fs::exists(config_path)) {
    const HuggingFaceConfig config(io::read_json_file(config_path), config_path.string());
    model.bos_token = special_token_text(config, "bos_token");
    model.eos_token = special_token_text(config, "eos_token");
    model.chat_template = template_of(config);
  }
  if (fs::exists(folder / "chat_template.jinja"))
    model.chat_template = read_file(folder / "chat_template.jinja");
}

void read_gguf_tokenizer(const io::GgufFile& file, BaseModel& model) {
  const std::vector<std::string> tokens = file.get_strings("tokenizer.ggml.tokens");
  model.bos_token = token_text(file, "tokenizer.ggml.bos_token_id", tokens);
  model.eos_token = token_text(file, "tokenizer.ggml.eos_token_id", tokens);
  const std::string source = file.get_string("tokenizer.chat_template", "");
  if (!source.empty()) model.chat_template = source;
}

}  // namespace lmoe::arch
