#include "mixture/top_k_table.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/files.h"

namespace lmoe::mixture {
namespace {

constexpr const char* kForm = "type k rank in out rows experts";
constexpr const char* kNever = "never";
constexpr int64_t kMost = int64_t{1} << 40;

const std::vector<std::pair<at::ScalarType, std::string>>& type_names() {
  static const std::vector<std::pair<at::ScalarType, std::string>> kNames = {
      {at::kFloat, "float32"}, {at::kBFloat16, "bfloat16"}};
  return kNames;
}

std::string name_of(at::ScalarType type) {
  for (const auto& [known, name] : type_names())
    if (known == type) return name;
  return at::toString(type);
}

/// A whole positive number, or nothing.
std::optional<int64_t> number(const std::string& word) {
  if (word.empty() || word.size() > 13 || word.find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  const int64_t value = std::stoll(word);
  return value >= 1 && value <= kMost ? std::optional(value) : std::nullopt;
}

/// Nothing when it has not the form.
std::optional<TopKTable::Line> parse_line(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  constexpr size_t kNumbers = 5;
  if (words.size() != kNumbers + 2) return std::nullopt;
  TopKTable::Line line;
  const auto type = std::find_if(type_names().begin(), type_names().end(),
                                 [&](const auto& known) { return known.second == words[0]; });
  if (type == type_names().end()) return std::nullopt;
  TopKShape& shape = line.shape;
  shape.type = type->first;
  size_t next = 1;
  for (int64_t* value : {&shape.k, &shape.rank, &shape.in, &shape.out, &shape.rows}) {
    const auto read = number(words[next++]);
    if (!read) return std::nullopt;
    *value = *read;
  }
  if (words.back() == kNever) return line;
  line.experts = number(words.back());
  return line.experts ? std::optional(line) : std::nullopt;
}

double distance(const TopKShape& a, const TopKShape& b) {
  double sum = 0;
  for (const auto& [x, y] :
       {std::pair{a.k, b.k}, {a.rank, b.rank}, {a.in, b.in}, {a.out, b.out}, {a.rows, b.rows}}) {
    const double ratio = std::log2(static_cast<double>(x)) - std::log2(static_cast<double>(y));
    sum += ratio * ratio;
  }
  return sum;
}

std::shared_ptr<const TopKTable>& replaced() {
  static std::shared_ptr<const TopKTable> table;
  return table;
}

}  // namespace

std::string TopKShape::text() const {
  return concat(name_of(type), " ", k, " ", rank, " ", in, " ", out, " ", rows);
}

TopKTable::TopKTable(std::string text, const std::string& name) : text_(std::move(text)) {
  std::istringstream stream(text_);
  int64_t number_of_line = 0;
  for (std::string given; std::getline(stream, given);) {
    ++number_of_line;
    const std::string content = given.substr(0, given.find('#'));
    if (content.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string where = concat("[top-k table] ", name, ":", number_of_line, ": ");
    const auto line = parse_line(content);
    LMOE_CHECK_DATA(
        line.has_value(), where, "given \"", content, "\", expected ", kForm,
        ", as float32 2 8 576 1536 2048 16; hint: `lmoe bench --tune` writes a new one");
    LMOE_CHECK_DATA(!line->experts || *line->experts > line->shape.k, where, "given ",
                    *line->experts, " experts, expected more than the ", line->shape.k,
                    " that are chosen");
    for (const Line& before : lines_)
      LMOE_CHECK_DATA(before.shape != line->shape, where, "the shape ", line->shape.text(),
                      " comes twice");
    lines_.push_back(*line);
  }
  LMOE_CHECK_DATA(!lines_.empty(), "[top-k table] ", name, ": no line, expected ", kForm);
}

std::optional<int64_t> TopKTable::least_experts(const TopKShape& shape) const {
  const auto has_type = [&](const Line& line) { return line.shape.type == shape.type; };
  const bool is_known = std::any_of(lines_.begin(), lines_.end(), has_type);
  const Line* nearest = nullptr;
  double least = 0;
  for (const Line& line : lines_) {
    if (is_known && !has_type(line)) continue;
    const double own = distance(line.shape, shape);
    if (nearest != nullptr && own >= least) continue;
    nearest = &line;
    least = own;
  }
  return nearest->experts;
}

bool TopKTable::chooses_selected(int64_t experts, const TopKShape& shape) const {
  if (experts <= shape.k) return false;
  const auto least = least_experts(shape);
  return least && experts >= *least;
}

std::string top_k_table_text(const std::vector<std::string>& comments,
                             const std::vector<TopKTable::Line>& lines) {
  std::string text;
  for (const std::string& comment : comments) text += "# " + comment + "\n";
  text += concat("#\n# ", kForm, "\n");
  for (const TopKTable::Line& line : lines)
    text +=
        concat(line.shape.text(), " ", line.experts ? std::to_string(*line.experts) : kNever, "\n");
  return text;
}

std::filesystem::path own_top_k_table_path() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
  };
  if (const std::string folder = variable("XDG_CONFIG_HOME"); !folder.empty())
    return fs::path(folder) / "lmoe" / kTopKTableFile;
  if (const std::string home = variable("HOME"); !home.empty())
    return fs::path(home) / ".config" / "lmoe" / kTopKTableFile;
  return {};
}

std::shared_ptr<const TopKTable> top_k_table() {
  if (replaced()) return replaced();
  const fs::path own = own_top_k_table_path();
  std::error_code error;
  if (!own.empty() && fs::exists(own, error))
    replaced() = std::make_shared<const TopKTable>(read_file(own), own.string());
  else
    replaced() = std::make_shared<const TopKTable>(built_in_top_k_table());
  return replaced();
}

void use_top_k_table(std::shared_ptr<const TopKTable> table) { replaced() = std::move(table); }

}  // namespace lmoe::mixture
