#include <algorithm>
#include <string>

#include "base/error.h"
#include "text/byte_level.h"
#include "text/json_fields.h"
#include "text/pattern.h"
#include "text/pre_tokenizer.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace lmoe::text {

namespace {

using Stages = std::vector<std::unique_ptr<PreTokenizerStage>>;

constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

Behavior behavior_from(const std::string& name, const std::string& path) {
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  fail(ErrorCode::kUnsupported, "[tokenizer] ", path, ": unknown behavior '", name,
       "'; known: Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous");
}

/// Joins ranges of matches and non-matches into pieces as a behaviour tells.
class RangeJoiner {
 public:
  RangeJoiner(Behavior behavior, Piece piece, const PieceSink& sink)
      : behavior_(behavior), piece_(piece), sink_(sink) {}

  void add(TextRange range, bool is_match) {
    switch (behavior_) {
      case Behavior::kIsolated:
        emit(range);
        break;
      case Behavior::kRemoved:
        if (!is_match) emit(range);
        break;
      case Behavior::kContiguous:
        hold(range, is_match == previous_);
        break;
      case Behavior::kMergedWithPrevious:
        hold(range, is_match && !previous_);
        break;
      case Behavior::kMergedWithNext:
        hold(range, !is_match && previous_);
        break;
    }
    previous_ = is_match;
  }

  void finish() {
    if (holding_) emit(held_);
  }

 private:
  void hold(TextRange range, bool joins_held) {
    if (holding_ && joins_held) {
      held_.end = range.end;
      return;
    }
    finish();
    held_ = range;
    holding_ = true;
  }

  void emit(TextRange range) {
    if (range.begin == range.end) return;
    sink_({piece_.text.substr(range.begin, range.end - range.begin),
           piece_.at_start && range.begin == 0});
  }

  Behavior behavior_;
  Piece piece_;
  const PieceSink& sink_;
  TextRange held_;
  bool holding_ = false;
  bool previous_ = false;
};

class SplitStage : public PreTokenizerStage {
 public:
  SplitStage(Pattern pattern, Behavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}

  void split(Piece piece, const PieceSink& sink) const override {
    RangeJoiner joiner(behavior_, piece, sink);
    pattern_.for_each_range(piece.text, [&](TextRange range, bool is_match) {
      joiner.add(range, is_match != invert_);
    });
    joiner.finish();
  }

 private:
  Pattern pattern_;
  Behavior behavior_;
  bool invert_;
};

/// Splits where a class of characters begins and ends.
class CharacterStage : public PreTokenizerStage {
 public:
  CharacterStage(bool (*is_match)(char32_t), Behavior behavior)
      : is_match_(is_match), behavior_(behavior) {}

  void split(Piece piece, const PieceSink& sink) const override {
    RangeJoiner joiner(behavior_, piece, sink);
    size_t begin = 0;
    for (size_t at = 0; at < piece.text.size();) {
      const Utf8Step step = utf8_step(piece.text.substr(at));
      const size_t next = at + static_cast<size_t>(step.length);
      if (is_match_(step.code_point)) {
        if (begin < at) joiner.add({begin, at}, false);
        joiner.add({at, next}, true);
        begin = next;
      }
      at = next;
    }
    if (begin < piece.text.size()) joiner.add({begin, piece.text.size()}, false);
    joiner.finish();
  }

 private:
  bool (*is_match_)(char32_t);
  Behavior behavior_;
};

class PrefixSpaceStage : public PreTokenizerStage {
 public:
  void split(Piece piece, const PieceSink& sink) const override {
    if (piece.text.starts_with(' ')) return sink(piece);
    const std::string prefixed = concat(" ", piece.text);
    sink({prefixed, piece.at_start});
  }
};

class ByteAlphabetStage : public PreTokenizerStage {
 public:
  void split(Piece piece, const PieceSink& sink) const override {
    const std::string mapped = to_byte_alphabet(piece.text);
    sink({mapped, piece.at_start});
  }
};

class MetaspaceStage : public PreTokenizerStage {
 public:
  enum class Prepend { kAlways, kFirst, kNever };

  MetaspaceStage(std::string replacement, Prepend prepend, bool split)
      : replacement_(std::move(replacement)), prepend_(prepend), split_(split) {}

  void split(Piece piece, const PieceSink& sink) const override {
    std::string text = Pattern(std::string(" ")).replace_all(piece.text, replacement_);
    const bool wanted =
        prepend_ == Prepend::kAlways || (prepend_ == Prepend::kFirst && piece.at_start);
    if (wanted && !text.starts_with(replacement_)) text.insert(0, replacement_);
    if (!split_) return sink({text, piece.at_start});
    SplitStage(Pattern(replacement_), Behavior::kMergedWithNext, /*invert=*/false)
        .split({text, piece.at_start}, sink);
  }

 private:
  std::string replacement_;
  Prepend prepend_;
  bool split_;
};

void add_byte_level(const JsonFields& fields, Stages& stages) {
  if (fields.bool_or("add_prefix_space", true))
    stages.push_back(std::make_unique<PrefixSpaceStage>());
  if (fields.bool_or("use_regex", true)) {
    stages.push_back(std::make_unique<SplitStage>(Pattern(Regex(kGpt2Pattern, fields.path())),
                                                  Behavior::kIsolated, /*invert=*/false));
  }
}

std::unique_ptr<PreTokenizerStage> make_metaspace(const JsonFields& fields) {
  const std::string replacement = fields.optional_string("replacement").value_or("\u2581");
  LMOE_CHECK_DATA(!replacement.empty(), "[tokenizer] ", fields.path_of("replacement"), " is empty");
  const bool legacy_prefix = fields.bool_or("add_prefix_space", true);
  const std::string scheme =
      fields.optional_string("prepend_scheme").value_or(legacy_prefix ? "always" : "never");
  using Prepend = MetaspaceStage::Prepend;
  Prepend prepend = Prepend::kAlways;
  if (scheme == "first") {
    prepend = Prepend::kFirst;
  } else if (scheme == "never") {
    prepend = Prepend::kNever;
  } else if (scheme != "always") {
    fail(ErrorCode::kUnsupported, "[tokenizer] ", fields.path_of("prepend_scheme"), ": unknown '",
         scheme, "'; known: always, first, never");
  }
  return std::make_unique<MetaspaceStage>(replacement, prepend, fields.bool_or("split", true));
}

std::unique_ptr<PreTokenizerStage> make_simple(const JsonFields& fields, const std::string& type) {
  if (type == "Split") {
    return std::make_unique<SplitStage>(
        Pattern::from_json(fields.at("pattern"), fields.path_of("pattern")),
        behavior_from(fields.string_at("behavior"), fields.path()),
        fields.bool_or("invert", false));
  }
  if (type == "Digits") {
    const bool individual = fields.bool_or("individual_digits", false);
    return std::make_unique<CharacterStage>(
        is_numeric, individual ? Behavior::kIsolated : Behavior::kContiguous);
  }
  if (type == "Metaspace") return make_metaspace(fields);
  if (type == "Whitespace") {
    // The joiners are word characters to Rust's regular expressions, not to Oniguruma's.
    constexpr std::string_view kWords = R"([\w\x{200C}\x{200D}]+|[^\w\s\x{200C}\x{200D}]+)";
    return std::make_unique<SplitStage>(Pattern(Regex(kWords, fields.path())), Behavior::kRemoved,
                                        /*invert=*/true);
  }
  if (type == "WhitespaceSplit") {
    return std::make_unique<CharacterStage>(is_white_space, Behavior::kRemoved);
  }
  fail(ErrorCode::kUnsupported, "[tokenizer] ", fields.path(), " of type '", type,
       "' is not supported; known: ByteLevel, Digits, Metaspace, Sequence, Split, Whitespace, "
       "WhitespaceSplit");
}

}  // namespace

std::vector<std::unique_ptr<PreTokenizerStage>> make_stages(const Json& json,
                                                            const std::string& path,
                                                            bool& ends_in_bytes) {
  const JsonFields fields(json, path);
  const std::string type = fields.string_at("type");
  Stages stages;
  ends_in_bytes = false;
  if (type == "Sequence") {
    const Json& members = fields.array_at("pretokenizers");
    for (size_t i = 0; i < members.size(); ++i) {
      if (ends_in_bytes) stages.push_back(std::make_unique<ByteAlphabetStage>());
      auto more = make_stages(members[i], concat(path, "[", i, "]"), ends_in_bytes);
      std::move(more.begin(), more.end(), std::back_inserter(stages));
    }
    return stages;
  }
  if (type == "ByteLevel") {
    add_byte_level(fields, stages);
    ends_in_bytes = true;
    return stages;
  }
  stages.push_back(make_simple(fields, type));
  return stages;
}

}  // namespace lmoe::text
