#include "text/unicode.h"

#include <unicode/uchar.h>

#include <algorithm>

#include "text/utf8.h"

namespace lmoe::text {

namespace {

const NewCodePoints* find_new(char32_t c) {
  const auto table = new_code_points();
  const auto it = std::upper_bound(table.begin(), table.end(), c,
                                   [](char32_t x, const NewCodePoints& r) { return x < r.first; });
  if (it == table.begin() || c > std::prev(it)->last) return nullptr;
  return &*std::prev(it);
}

bool in_mask(char32_t c, uint32_t mask) {
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & mask) != 0;
}

bool has_property(char32_t c, UProperty property) {
  return u_hasBinaryProperty(static_cast<UChar32>(c), property) != 0;
}

size_t last_character_start(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

}  // namespace

bool has_new_code_points(std::string_view text) {
  const char32_t first = new_code_points().front().first;
  for (size_t i = 0; i < text.size();) {
    // Everything below U+0800 has lead bytes below 0xE0.
    if (static_cast<uint8_t>(text[i]) < 0xE0) {
      ++i;
      continue;
    }
    const Utf8Step step = utf8_step(text.substr(i));
    if (step.code_point >= first && find_new(step.code_point) != nullptr) return true;
    i += static_cast<size_t>(step.length);
  }
  return false;
}

bool is_white_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
  return has_property(c, UCHAR_WHITE_SPACE);
}

bool is_numeric(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  if (in_mask(c, U_GC_N_MASK)) return true;
  const NewCodePoints* found = find_new(c);
  return found != nullptr && found->category[0] == 'N';
}

bool is_word(char32_t c) {
  if (c < 0x80)
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
  if (has_property(c, UCHAR_ALPHABETIC) || has_property(c, UCHAR_JOIN_CONTROL)) return true;
  if (in_mask(c, U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) return true;
  const NewCodePoints* found = find_new(c);
  if (found == nullptr) return false;
  const std::string_view category(found->category);
  return category[0] == 'L' || category[0] == 'M' || category == "Nd" || category == "Nl";
}

char32_t to_lower(char32_t c) {
  // Pairs that came with Unicode 16 and 17.
  if (c >= 0x10D50 && c <= 0x10D65) return c + 0x20;
  if (c >= 0x16EA0 && c <= 0x16EB8) return c + 0x1B;
  switch (c) {
    case 0x1C89:
      return 0x1C8A;
    case 0xA7CB:
      return 0x0264;
    case 0xA7CC:
      return 0xA7CD;
    case 0xA7CE:
      return 0xA7CF;
    case 0xA7D2:
      return 0xA7D3;
    case 0xA7D4:
      return 0xA7D5;
    case 0xA7DA:
      return 0xA7DB;
    case 0xA7DC:
      return 0x019B;
    default:
      return static_cast<char32_t>(u_tolower(static_cast<UChar32>(c)));
  }
}

std::string_view trim_start(std::string_view text) {
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    if (!is_white_space(step.code_point)) break;
    text.remove_prefix(static_cast<size_t>(step.length));
  }
  return text;
}

std::string_view trim_end(std::string_view text) {
  while (!text.empty()) {
    const size_t start = last_character_start(text);
    if (!is_white_space(utf8_step(text.substr(start)).code_point)) break;
    text = text.substr(0, start);
  }
  return text;
}

}  // namespace lmoe::text
