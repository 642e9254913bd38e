#include "text/normalizer.h"

#include "base/error.h"
#include "text/json_fields.h"
#include "text/pattern.h"
#include "text/unicode.h"
#include "text/unicode_normalize.h"
#include "text/utf8.h"

namespace lmoe::text {

namespace {

using Steps = std::vector<std::unique_ptr<NormalizerStep>>;

class FormStep : public NormalizerStep {
 public:
  explicit FormStep(NormalizationForm form) : form_(form) {}
  std::string apply(std::string_view text) const override { return unicode_normalize(text, form_); }

 private:
  NormalizationForm form_;
};

class PrependStep : public NormalizerStep {
 public:
  explicit PrependStep(std::string prefix) : prefix_(std::move(prefix)) {}
  std::string apply(std::string_view text) const override {
    return text.empty() ? std::string() : concat(prefix_, text);
  }

 private:
  std::string prefix_;
};

class ReplaceStep : public NormalizerStep {
 public:
  ReplaceStep(Pattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  std::string apply(std::string_view text) const override {
    return pattern_.replace_all(text, content_);
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class StripStep : public NormalizerStep {
 public:
  StripStep(bool left, bool right) : left_(left), right_(right) {}
  std::string apply(std::string_view text) const override {
    if (left_) text = trim_start(text);
    if (right_) text = trim_end(text);
    return std::string(text);
  }

 private:
  bool left_, right_;
};

class LowercaseStep : public NormalizerStep {
 public:
  std::string apply(std::string_view text) const override {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
      const Utf8Step step = utf8_step(text);
      append_utf8(out, to_lower(step.code_point));
      if (step.code_point == 0x130) append_utf8(out, 0x307);  // the one character that becomes two
      text.remove_prefix(static_cast<size_t>(step.length));
    }
    return out;
  }
};

void add_steps(const Json& json, const std::string& path, Steps& steps) {
  const JsonFields fields(json, path);
  const std::string type = fields.string_at("type");
  if (type == "Sequence") {
    const Json& members = fields.array_at("normalizers");
    for (size_t i = 0; i < members.size(); ++i) {
      add_steps(members[i], concat(path, "[", i, "]"), steps);
    }
  } else if (type == "NFC") {
    steps.push_back(std::make_unique<FormStep>(NormalizationForm::kNfc));
  } else if (type == "NFD") {
    steps.push_back(std::make_unique<FormStep>(NormalizationForm::kNfd));
  } else if (type == "NFKC") {
    steps.push_back(std::make_unique<FormStep>(NormalizationForm::kNfkc));
  } else if (type == "NFKD") {
    steps.push_back(std::make_unique<FormStep>(NormalizationForm::kNfkd));
  } else if (type == "Lowercase") {
    steps.push_back(std::make_unique<LowercaseStep>());
  } else if (type == "Prepend") {
    steps.push_back(std::make_unique<PrependStep>(fields.string_at("prepend")));
  } else if (type == "Replace") {
    steps.push_back(std::make_unique<ReplaceStep>(
        Pattern::from_json(fields.at("pattern"), fields.path_of("pattern")),
        fields.string_at("content")));
  } else if (type == "Strip") {
    steps.push_back(std::make_unique<StripStep>(fields.bool_or("strip_left", true),
                                                fields.bool_or("strip_right", true)));
  } else {
    fail(ErrorCode::kUnsupported, "[tokenizer] ", path, " of type '", type,
         "' is not supported; known: Lowercase, NFC, NFD, NFKC, NFKD, Prepend, Replace, Sequence, "
         "Strip");
  }
}

}  // namespace

Normalizer::Normalizer(const Json& json) {
  if (!json.is_null()) add_steps(json, "normalizer", steps_);
}

std::string Normalizer::apply(std::string_view text) const {
  if (steps_.empty()) return std::string(text);
  std::string out = steps_.front()->apply(text);
  for (size_t i = 1; i < steps_.size(); ++i) out = steps_[i]->apply(out);
  return out;
}

}  // namespace lmoe::text
