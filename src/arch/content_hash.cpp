#include "arch/content_hash.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <tuple>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/hash.h"
#include "text/tokenizer_file.h"

namespace lmoe::arch {
namespace {

/// The hashed form: netstrings one after the other.
class Summary {
 public:
  explicit Summary(std::string_view version) { add(version); }

  void add(std::string_view field) {
    text_ += std::to_string(field.size());
    text_ += ':';
    text_ += field;
    text_ += ',';
  }
  void add(bool value) { add(std::string_view(value ? "true" : "false")); }
  void add(int64_t value) { add(std::string_view(std::to_string(value))); }
  void add(uint64_t value) { add(std::string_view(std::to_string(value))); }
  void add(double value) {
    char text[32];
    const int size = std::snprintf(text, sizeof text, "%.17g", value);
    add(std::string_view(text, static_cast<size_t>(size)));
  }

  template <class T>
  void add_all(const std::vector<T>& values) {
    add(static_cast<uint64_t>(values.size()));
    for (const auto& value : values) add_element(value);
  }

  std::string hash() const { return sha256_hex(text_); }

 private:
  void add_element(const std::string& value) { add(std::string_view(value)); }
  void add_element(const auto& value) { add(value); }

  std::string text_;
};

/// Hashes tensors piece by piece and tells how far it is.
class HashedBytes {
 public:
  HashedBytes(const io::WeightSource& source,
              const std::vector<std::string>& names,
              const HashProgress& progress)
      : progress_(progress) {
    for (const std::string& name : names) total_ += source.find(name)->bytes.size();
  }

  std::string hash(const io::TensorView& view) {
    Sha256 hash;
    std::string_view rest(reinterpret_cast<const char*>(view.bytes.data()), view.bytes.size());
    while (!rest.empty()) {
      const std::string_view piece = rest.substr(0, std::min(kPiece - unsaid_, rest.size()));
      hash.update(piece);
      rest.remove_prefix(piece.size());
      tell(piece.size());
    }
    return hash.hex();
  }

 private:
  static constexpr size_t kPiece = 16 << 20;

  void tell(size_t bytes) {
    done_ += bytes;
    unsaid_ += bytes;
    if (unsaid_ < kPiece && done_ < total_) return;
    unsaid_ = 0;
    if (progress_) progress_(static_cast<int64_t>(done_), static_cast<int64_t>(total_));
  }

  const HashProgress& progress_;
  size_t done_ = 0, total_ = 0, unsaid_ = 0;
};

/// Without spaces, keys sorted.
std::string compact(const Json& json) { return nlohmann::json(json).dump(); }

Json deciding_keys(std::string_view config_json) {
  Json chosen = Json::object();
  if (config_json.empty()) return chosen;
  const Json config = text::parse_tokenizer_file(config_json).parts;
  for (const char* key :
       {"add_bos_token", "add_eos_token", "bos_token", "eos_token", "pad_token", "unk_token"}) {
    const auto found = config.find(key);
    if (found == config.end() || found->is_null()) continue;
    const bool has_content = found->is_object() && found->contains("content");
    chosen[key] = has_content ? (*found)["content"] : *found;
  }
  return chosen;
}

}  // namespace

std::string difference(const ContentHash& a, const ContentHash& b) {
  const bool weights = a.weights != b.weights, tokenizer = a.tokenizer != b.tokenizer;
  if (weights && tokenizer) return "weights and tokenizer";
  return weights ? "weights" : tokenizer ? "tokenizer" : "";
}

std::string hash_weights(const io::WeightSource& source, const HashProgress& progress) {
  source.check_not_truncated();
  std::vector<std::string> names = source.names();
  std::sort(names.begin(), names.end());
  HashedBytes hashed(source, names, progress);
  Summary summary("lmoe weights 1");
  for (const std::string& name : names) {
    const io::TensorView& view = *source.find(name);
    summary.add(std::string_view(name));
    summary.add(std::string_view(io::dtype_name(view.dtype)));
    summary.add(std::string_view(view.shape_text()));
    summary.add(std::string_view(hashed.hash(view)));
    source.forget_pages();
  }
  return summary.hash();
}

std::string hash_json_tokenizer(std::string_view tokenizer_json, std::string_view config_json) {
  text::TokenizerFile file = text::parse_tokenizer_file(tokenizer_json);
  for (const char* key : {"truncation", "padding", "version"}) file.parts.erase(key);
  if (file.parts.contains("model") && file.parts["model"].is_object())
    for (const char* key : {"vocab", "merges"}) file.parts["model"].erase(key);
  std::sort(file.vocab.begin(), file.vocab.end(), [](const auto& a, const auto& b) {
    return std::tie(a.second, a.first) < std::tie(b.second, b.first);
  });
  Summary summary("lmoe tokenizer 1");
  summary.add(std::string_view("json"));
  summary.add(std::string_view(compact(file.parts)));
  summary.add(std::string_view(compact(deciding_keys(config_json))));
  for (const auto& [token, id] : file.vocab) {
    summary.add(int64_t{id});
    summary.add(std::string_view(token));
  }
  summary.add(std::string_view("merges"));
  for (const auto& [left, right] : file.merges) {
    summary.add(std::string_view(left));
    summary.add(std::string_view(right));
  }
  return summary.hash();
}

std::string hash_gguf_tokenizer(const io::GgufFile& file) {
  Summary summary("lmoe tokenizer 1");
  summary.add(std::string_view("gguf"));
  for (const auto& [key, value] : file.metadata()) {
    if (!key.starts_with("tokenizer.ggml.")) continue;
    summary.add(std::string_view(key));
    std::visit(
        [&]<class T>(const T& held) {
          if constexpr (requires { typename T::allocator_type; } && !std::is_same_v<T, std::string>)
            summary.add_all(held);
          else
            summary.add_all(std::vector<T>{held});
        },
        value);
  }
  return summary.hash();
}

}  // namespace lmoe::arch
