#include "text/unicode_normalize.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/utf16.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "text/utf8.h"

namespace lmoe::text {

namespace {

struct Tables {
  const UNormalizer2* nfc;
  const UNormalizer2* nfd;
  const UNormalizer2* nfkd;
};

const Tables& tables() {
  static const Tables instance = [] {
    UErrorCode error = U_ZERO_ERROR;
    const Tables loaded{unorm2_getNFCInstance(&error), unorm2_getNFDInstance(&error),
                        unorm2_getNFKDInstance(&error)};
    if (U_FAILURE(error))
      fail(ErrorCode::kInternal, "[normalize] ICU has no data: ", u_errorName(error));
    return loaded;
  }();
  return instance;
}

struct Character {
  char32_t code_point;
  uint8_t combining_class;
};

/// The `tokenizers` library normalises by the tables of Unicode 9: to it, later characters are
/// plain letters.
bool is_known(char32_t c) {
  constexpr char32_t kFirstLater = 0x7FD;
  constexpr uint8_t kVersion = 9;
  if (c < kFirstLater) return true;
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(c), age);
  return age[0] <= kVersion;
}

uint8_t combining_class(char32_t c) {
  return c < 0x300 || !is_known(c) ? 0 : u_getCombiningClass(static_cast<UChar32>(c));
}

class Decomposer {
 public:
  explicit Decomposer(const UNormalizer2* table) : table_(table) {}

  std::vector<Character> run(std::string_view text) {
    while (!text.empty()) {
      const Utf8Step step = utf8_step(text);
      decompose(step.code_point);
      text.remove_prefix(static_cast<size_t>(step.length));
    }
    sort_marks();
    return std::move(out_);
  }

 private:
  void decompose(char32_t c) {
    UChar buffer[64];
    UErrorCode error = U_ZERO_ERROR;
    const int32_t length =
        c < 0x80 || !is_known(c)
            ? -1
            : unorm2_getDecomposition(table_, static_cast<UChar32>(c), buffer, 64, &error);
    if (length < 0 || U_FAILURE(error)) return put(c);
    for (int32_t i = 0; i < length;) {
      UChar32 part = 0;
      U16_NEXT(buffer, i, length, part);
      put(static_cast<char32_t>(part));
    }
  }

  void put(char32_t c) {
    const uint8_t combining = combining_class(c);
    if (combining == 0) sort_marks();
    out_.push_back({c, combining});
    if (combining == 0) marks_begin_ = out_.size();
  }

  void sort_marks() {
    std::stable_sort(out_.begin() + static_cast<std::ptrdiff_t>(marks_begin_), out_.end(),
                     [](const Character& a, const Character& b) {
                       return a.combining_class < b.combining_class;
                     });
    marks_begin_ = out_.size();
  }

  const UNormalizer2* table_;
  std::vector<Character> out_;
  size_t marks_begin_ = 0;
};

void compose(std::vector<Character>& text) {
  constexpr size_t kNone = SIZE_MAX;
  size_t starter = kNone;
  size_t size = 0;
  for (const Character c : text) {
    const bool blocked = starter == kNone || (size - 1 != starter &&
                                              text[size - 1].combining_class >= c.combining_class);
    if (!blocked && is_known(c.code_point)) {
      const UChar32 both =
          unorm2_composePair(tables().nfc, static_cast<UChar32>(text[starter].code_point),
                             static_cast<UChar32>(c.code_point));
      if (both >= 0) {
        text[starter].code_point = static_cast<char32_t>(both);
        continue;
      }
    }
    if (c.combining_class == 0) starter = size;
    text[size++] = c;
  }
  text.resize(size);
}

/// Text below U+0300 is its own NFC.
bool is_trivial(std::string_view text, NormalizationForm form) {
  const uint8_t limit = form == NormalizationForm::kNfc ? 0xCC : 0x80;
  return std::all_of(text.begin(), text.end(), [limit](char c) {
    const auto byte = static_cast<uint8_t>(c);
    return byte < limit;
  });
}

}  // namespace

std::string unicode_normalize(std::string_view text, NormalizationForm form) {
  if (is_trivial(text, form)) return std::string(text);
  const bool compatible = form == NormalizationForm::kNfkc || form == NormalizationForm::kNfkd;
  auto characters = Decomposer(compatible ? tables().nfkd : tables().nfd).run(text);
  if (form == NormalizationForm::kNfc || form == NormalizationForm::kNfkc) compose(characters);
  std::string out;
  out.reserve(text.size());
  for (const Character& c : characters) append_utf8(out, c.code_point);
  return out;
}

}  // namespace lmoe::text
