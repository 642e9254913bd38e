#include "arch/tokenizer_files.h"

#include "arch/config_reader.h"
#include "base/error.h"
#include "base/files.h"
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

/// The texts that templates use, where no file names them.
void fill_special_tokens(BaseModel& model) {
  const text::SpecialTokens& special = model.tokenizer->special_tokens();
  if (model.bos_token.empty() && special.bos)
    model.bos_token = model.tokenizer->id_to_token(*special.bos);
  if (model.eos_token.empty() && special.eos)
    model.eos_token = model.tokenizer->id_to_token(*special.eos);
}

/// Ids beyond the embedding would read past its end.
void check_vocabulary(const BaseModel& model) {
  LMOE_CHECK_DATA(model.tokenizer->vocab_size() <= model.config.vocab_size, "[load_base] ",
                  model.path, ": the tokenizer has ", model.tokenizer->vocab_size(),
                  " tokens, but the model only ", model.config.vocab_size);
}

text::GgufVocabulary read_vocabulary(const io::GgufFile& file) {
  const auto id = [&](const char* key) -> std::optional<text::TokenId> {
    if (!file.has(key)) return std::nullopt;
    return static_cast<text::TokenId>(
        check_range(file.get_int(key, 0), {0, kSizeRange.maximum},
                    "[load_base] " + file.description() + ": " + key));
  };
  text::GgufVocabulary vocabulary;
  vocabulary.model = file.require_string("tokenizer.ggml.model");
  vocabulary.pre = file.get_string("tokenizer.ggml.pre", "");
  vocabulary.tokens = file.get_strings("tokenizer.ggml.tokens");
  vocabulary.token_types = file.get_ints("tokenizer.ggml.token_type");
  vocabulary.scores = file.get_doubles("tokenizer.ggml.scores");
  vocabulary.merges = file.get_strings("tokenizer.ggml.merges");
  vocabulary.special = {id("tokenizer.ggml.bos_token_id"), id("tokenizer.ggml.eos_token_id"),
                        id("tokenizer.ggml.unknown_token_id"),
                        id("tokenizer.ggml.padding_token_id")};
  // Without the keys llama.cpp adds BOS for SentencePiece vocabularies and for Llama 3.
  const bool is_sentencepiece = vocabulary.model == "llama";
  const bool is_llama3 =
      vocabulary.pre == "llama-bpe" || vocabulary.pre == "llama3" || vocabulary.pre == "llama-v3";
  vocabulary.add_bos = file.get_bool("tokenizer.ggml.add_bos_token", is_sentencepiece || is_llama3);
  vocabulary.add_eos = file.get_bool("tokenizer.ggml.add_eos_token", false);
  vocabulary.add_space_prefix = file.get_bool("tokenizer.ggml.add_space_prefix", is_sentencepiece);
  return vocabulary;
}

std::shared_ptr<const text::Tokenizer> read_tokenizer(const fs::path& path,
                                                      const std::string& config_text) {
  try {
    return text::tokenizer_from_json(read_file(path), config_text);
  } catch (const Error& error) {
    fail(error.code(), error.what(), "; file ", path.string());
  }
}

}  // namespace

void read_tokenizer_files(const fs::path& folder, BaseModel& model) {
  std::string config_text;
  const fs::path config_path = folder / "tokenizer_config.json";
  if (fs::exists(config_path)) {
    config_text = read_file(config_path);
    const HuggingFaceConfig config(io::parse_json(config_text, config_path.string()),
                                   config_path.string());
    model.bos_token = special_token_text(config, "bos_token");
    model.eos_token = special_token_text(config, "eos_token");
    model.chat_template = template_of(config);
  }
  if (fs::exists(folder / "chat_template.jinja"))
    model.chat_template = read_file(folder / "chat_template.jinja");
  if (!fs::exists(folder / "tokenizer.json")) {
    fail(ErrorCode::kNotFound, "[load_base] ", folder.string(), " has no tokenizer.json",
         fs::exists(folder / "tokenizer.model")
             ? "; convert tokenizer.model by loading and saving it with transformers' AutoTokenizer"
             : "");
  }
  model.tokenizer = read_tokenizer(folder / "tokenizer.json", config_text);
  model.hash_tokenizer = [tokenizer = model.tokenizer, config_text] {
    return hash_json_tokenizer(text::tokenizer_to_json(*tokenizer), config_text);
  };
  fill_special_tokens(model);
  check_vocabulary(model);
}

void read_gguf_tokenizer(const io::GgufFile& file, BaseModel& model) {
  model.tokenizer = text::tokenizer_from_gguf(read_vocabulary(file));
  model.hash_tokenizer = [&file] { return hash_gguf_tokenizer(file); };
  const std::string source = file.get_string("tokenizer.chat_template", "");
  if (!source.empty()) model.chat_template = source;
  fill_special_tokens(model);
  check_vocabulary(model);
}

}  // namespace lmoe::arch
