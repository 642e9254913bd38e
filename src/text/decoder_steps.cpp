#include <algorithm>

#include "base/error.h"
#include "text/byte_level.h"
#include "text/byte_token.h"
#include "text/decoder.h"
#include "text/json_fields.h"
#include "text/pattern.h"
#include "text/utf8.h"

namespace lmoe::text {

namespace {

using Steps = std::vector<std::unique_ptr<DecoderStep>>;
using Tokens = std::vector<std::string>;

Tokens joined(const Tokens& tokens) {
  std::string text;
  for (const auto& token : tokens) text += token;
  return {std::move(text)};
}

class ByteLevelStep : public DecoderStep {
 public:
  Tokens apply(Tokens tokens) const override {
    for (auto& token : tokens) token = from_byte_alphabet(token);
    return {replace_invalid_utf8(joined(tokens)[0])};
  }
  std::string inner(std::string token) const override { return from_byte_alphabet(token); }
  bool append_bytes(std::string& out, std::string_view token) const override {
    append_from_byte_alphabet(out, token);
    return true;
  }
  bool joins() const override { return true; }
};

class ReplaceStep : public DecoderStep {
 public:
  ReplaceStep(Pattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  Tokens apply(Tokens tokens) const override {
    for (auto& token : tokens) token = pattern_.replace_all(token, content_);
    return tokens;
  }
  std::string inner(std::string token) const override {
    return is_valid_utf8(token) ? pattern_.replace_all(token, content_) : token;
  }

 private:
  Pattern pattern_;
  std::string content_;
};

/// A run of byte tokens becomes the characters it encodes, or one U+FFFD a byte when it encodes
/// none.
class ByteFallbackStep : public DecoderStep {
 public:
  Tokens apply(Tokens tokens) const override {
    Tokens out;
    std::string bytes;
    const auto flush = [&] {
      if (bytes.empty()) return;
      if (is_valid_utf8(bytes)) {
        out.push_back(bytes);
      } else {
        out.insert(out.end(), bytes.size(), "\uFFFD");
      }
      bytes.clear();
    };
    for (auto& token : tokens) {
      if (const auto byte = parse_byte_token(token)) {
        bytes.push_back(static_cast<char>(*byte));
        continue;
      }
      flush();
      out.push_back(std::move(token));
    }
    flush();
    return out;
  }
  std::string inner(std::string token) const override {
    const auto byte = parse_byte_token(token);
    return byte ? std::string(1, static_cast<char>(*byte)) : token;
  }
};

class FuseStep : public DecoderStep {
 public:
  Tokens apply(Tokens tokens) const override { return joined(tokens); }
  bool joins() const override { return true; }
};

class StripStep : public DecoderStep {
 public:
  StripStep(std::string content, size_t start, bool whole_text)
      : content_(std::move(content)), start_(start), whole_text_(whole_text) {}
  Tokens apply(Tokens tokens) const override {
    for (auto& token : tokens) token = strip(token);
    return tokens;
  }
  std::string inner(std::string token) const override { return whole_text_ ? token : strip(token); }
  std::string first(std::string token) const override { return strip(token); }

 private:
  std::string strip(std::string_view token) const {
    for (size_t i = 0; i < start_ && token.starts_with(content_); ++i)
      token.remove_prefix(content_.size());
    return std::string(token);
  }

  std::string content_;
  size_t start_;
  bool whole_text_;
};

class MetaspaceStep : public DecoderStep {
 public:
  MetaspaceStep(std::string replacement, bool strips_first)
      : replacement_(std::move(replacement)), strips_first_(strips_first) {}
  Tokens apply(Tokens tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = i == 0 ? first(tokens[i]) : inner(tokens[i]);
    return tokens;
  }
  std::string inner(std::string token) const override {
    return Pattern(replacement_).replace_all(token, " ");
  }
  std::string first(std::string token) const override {
    return strips_first_ ? Pattern(replacement_).replace_all(token, "") : inner(std::move(token));
  }

 private:
  std::string replacement_;
  bool strips_first_;
};

std::unique_ptr<DecoderStep> make_strip(const JsonFields& fields, bool whole_text) {
  const std::string content = fields.string_at("content");
  const int64_t start = fields.integer_at("start");
  const int64_t stop = fields.integer_at("stop");
  const bool one_character =
      !content.empty() && static_cast<size_t>(utf8_step(content).length) == content.size();
  LMOE_CHECK_DATA(one_character && start >= 0 && stop >= 0, "[tokenizer] ", fields.path(),
                  ": a Strip decoder needs one character and counts of at least 0");
  if (stop > 0) {
    fail(ErrorCode::kUnsupported, "[tokenizer] ", fields.path_of("stop"),
         ": stripping the end of a text is not supported: given ", stop);
  }
  return std::make_unique<StripStep>(content, static_cast<size_t>(start), whole_text);
}

std::unique_ptr<DecoderStep> make_metaspace(const JsonFields& fields) {
  const std::string replacement = fields.optional_string("replacement").value_or("\u2581");
  LMOE_CHECK_DATA(!replacement.empty(), "[tokenizer] ", fields.path_of("replacement"), " is empty");
  const bool legacy_prefix = fields.bool_or("add_prefix_space", true);
  const std::string scheme =
      fields.optional_string("prepend_scheme").value_or(legacy_prefix ? "always" : "never");
  return std::make_unique<MetaspaceStep>(replacement, scheme != "never");
}

std::unique_ptr<DecoderStep> make_step(const JsonFields& fields,
                                       const std::string& type,
                                       bool whole_text) {
  if (type == "ByteLevel") return std::make_unique<ByteLevelStep>();
  if (type == "ByteFallback") return std::make_unique<ByteFallbackStep>();
  if (type == "Fuse") return std::make_unique<FuseStep>();
  if (type == "Strip") return make_strip(fields, whole_text);
  if (type == "Metaspace") return make_metaspace(fields);
  if (type == "Replace") {
    return std::make_unique<ReplaceStep>(
        Pattern::from_json(fields.at("pattern"), fields.path_of("pattern")),
        fields.string_at("content"));
  }
  fail(ErrorCode::kUnsupported, "[tokenizer] ", fields.path(), " of type '", type,
       "' is not supported; known: ByteFallback, ByteLevel, Fuse, Metaspace, Replace, Sequence, "
       "Strip");
}

void add_steps(const Json& json, const std::string& path, Steps& steps) {
  const JsonFields fields(json, path);
  const std::string type = fields.string_at("type");
  if (type == "Sequence") {
    const Json& members = fields.array_at("decoders");
    for (size_t i = 0; i < members.size(); ++i)
      add_steps(members[i], concat(path, "[", i, "]"), steps);
    return;
  }
  const bool whole_text =
      std::any_of(steps.begin(), steps.end(), [](const auto& step) { return step->joins(); });
  steps.push_back(make_step(fields, type, whole_text));
}

}  // namespace

std::vector<std::unique_ptr<DecoderStep>> make_decoder_steps(const Json& json,
                                                             const std::string& path) {
  Steps steps;
  add_steps(json, path, steps);
  return steps;
}

}  // namespace lmoe::text
