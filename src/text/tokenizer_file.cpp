#include "text/tokenizer_file.h"

#include <limits>

#include "base/error.h"

namespace lmoe::text {

namespace {

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxMembers = 10'000;

/// Builds a Json tree, except inside model.vocab and model.merges, whose entries go to lists.
class Reader : public nlohmann::json_sax<Json> {
 public:
  explicit Reader(TokenizerFile& file) : file_(file) {}

  bool null() override { return value(nullptr); }
  bool boolean(bool v) override { return value(v); }
  bool number_float(double v, const std::string&) override { return value(v); }
  bool binary(Json::binary_t&) override { return false; }
  bool number_integer(int64_t v) override { return mode_ == Mode::kVocab ? vocab_id(v) : value(v); }

  bool number_unsigned(uint64_t v) override {
    if (mode_ != Mode::kVocab) return value(v);
    return vocab_id(static_cast<int64_t>(std::min<uint64_t>(v, INT64_MAX)));
  }

  bool string(std::string& v) override {
    if (mode_ == Mode::kMerges) {
      merge_line(v);
      return true;
    }
    if (mode_ == Mode::kPair) {
      pair_.push_back(std::move(v));
      return true;
    }
    return value(std::move(v));
  }

  bool start_object(size_t) override {
    if (mode_ == Mode::kTree && at_model() && key_ == "vocab") {
      put(nullptr);
      mode_ = Mode::kVocab;
      return true;
    }
    return open(Json::object());
  }

  bool end_object() override {
    if (mode_ == Mode::kVocab) {
      mode_ = Mode::kTree;
      return true;
    }
    return close();
  }

  bool start_array(size_t) override {
    if (mode_ == Mode::kTree && at_model() && key_ == "merges") {
      put(nullptr);
      mode_ = Mode::kMerges;
      return true;
    }
    if (mode_ == Mode::kMerges) {
      mode_ = Mode::kPair;
      pair_.clear();
      return true;
    }
    return open(Json::array());
  }

  bool end_array() override {
    if (mode_ == Mode::kMerges) {
      mode_ = Mode::kTree;
      return true;
    }
    if (mode_ == Mode::kPair) {
      end_pair();
      mode_ = Mode::kMerges;
      return true;
    }
    return close();
  }

  bool key(std::string& k) override {
    key_ = std::move(k);
    if (mode_ == Mode::kTree) {
      LMOE_CHECK_DATA(stack_.back()->size() < kMaxMembers, "[tokenizer] an object has more than ",
                      kMaxMembers, " members");
      LMOE_CHECK_DATA(!stack_.back()->contains(key_), "[tokenizer] the key '", key_,
                      "' is given twice");
    }
    return true;
  }

  bool parse_error(size_t, const std::string&, const Json::exception& error) override {
    fail(ErrorCode::kCorruptData, "[tokenizer] not valid JSON: ", without_operation(error.what()));
  }

 private:
  enum class Mode { kTree, kVocab, kMerges, kPair };

  bool at_model() const {
    return stack_.size() == 2 && stack_[1]->is_object() && top_key_ == "model";
  }

  [[noreturn]] void wrong_entry(const char* expected) const {
    fail(ErrorCode::kCorruptData, "[tokenizer] model.", mode_ == Mode::kVocab ? "vocab" : "merges",
         ": entry ", mode_ == Mode::kVocab ? file_.vocab.size() : file_.merges.size(), " is not ",
         expected);
  }

  void refuse_in_lists() const {
    if (mode_ == Mode::kVocab) wrong_entry("a token with an integer id");
    if (mode_ != Mode::kTree) wrong_entry("\"left right\" or [\"left\", \"right\"]");
  }

  Json* put(Json v) {
    if (stack_.empty()) {
      file_.parts = std::move(v);
      return &file_.parts;
    }
    Json& parent = *stack_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(v));
      return &parent.back();
    }
    if (stack_.size() == 1) top_key_ = key_;
    return &(parent[key_] = std::move(v));
  }

  bool value(Json v) {
    refuse_in_lists();
    put(std::move(v));
    return true;
  }

  bool open(Json v) {
    refuse_in_lists();
    LMOE_CHECK_DATA(stack_.size() < kMaxDepth, "[tokenizer] nested deeper than ", kMaxDepth,
                    " levels");
    stack_.push_back(put(std::move(v)));
    return true;
  }

  bool close() {
    stack_.pop_back();
    return true;
  }

  bool vocab_id(int64_t id) {
    LMOE_CHECK_DATA(id >= 0 && id <= std::numeric_limits<TokenId>::max(),
                    "[tokenizer] model.vocab: the id of '", key_, "' is out of range: given ", id);
    file_.vocab.emplace_back(std::move(key_), static_cast<TokenId>(id));
    return true;
  }

  void merge_line(const std::string& line) {
    if (line.starts_with("#version")) return;
    const size_t space = line.find(' ');
    if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos) {
      fail(ErrorCode::kCorruptData, "[tokenizer] model.merges: merge ", file_.merges.size(),
           " is malformed: given '", line, "', expected two tokens with one space between");
    }
    file_.merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }

  void end_pair() {
    if (pair_.size() != 2) wrong_entry("a pair of two tokens");
    file_.merges.emplace_back(std::move(pair_[0]), std::move(pair_[1]));
  }

  TokenizerFile& file_;
  std::vector<Json*> stack_;  // stable: a parent gets no new members while a child is open
  std::string key_, top_key_;
  std::vector<std::string> pair_;
  Mode mode_ = Mode::kTree;
};

}  // namespace

TokenizerFile parse_tokenizer_file(std::string_view json) {
  TokenizerFile file;
  Reader reader(file);
  Json::sax_parse(json.begin(), json.end(), &reader);
  LMOE_CHECK_DATA(file.parts.is_object(), "[tokenizer] the file must be a JSON object: given ",
                  file.parts.type_name());
  return file;
}

std::string to_json_text(const TokenizerFile& file) {
  const auto quoted = [](const std::string& text) { return Json(text).dump(); };
  const auto comma = [](std::string& out, bool& first) {
    if (!first) out += ',';
    first = false;
    out += "\n      ";
  };
  std::string vocab = "{";
  bool first = true;
  for (const auto& [token, id] : file.vocab) {
    comma(vocab, first);
    vocab += concat(quoted(token), ": ", id);
  }
  std::string merges = "[";
  first = true;
  for (const auto& [left, right] : file.merges) {
    comma(merges, first);
    merges += concat("[", quoted(left), ", ", quoted(right), "]");
  }
  // The two lists take the places of two markers, so that the rest is written by the JSON library.
  Json parts = file.parts;
  parts["model"]["vocab"] = nullptr;
  parts["model"]["merges"] = nullptr;
  std::string text = parts.dump(2);
  const size_t merges_at = text.rfind("\"merges\": null");
  text.replace(merges_at + 10, 4, merges + "\n    ]");
  text.replace(text.rfind("\"vocab\": null", merges_at) + 9, 4, vocab + "\n    }");
  return text + "\n";
}

}  // namespace lmoe::text
