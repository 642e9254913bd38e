#include "text/utf8.h"

#include <algorithm>

namespace lmoe::text {

namespace {

constexpr char32_t kReplacement = 0xFFFD;

struct Lead {
  int length;
  uint8_t second_min, second_max;
};

Lead lead_of(uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

Utf8Step utf8_step(std::string_view bytes) {
  const auto first = static_cast<uint8_t>(bytes[0]);
  const Lead lead = lead_of(first);
  if (lead.length == 1) return {first, 1, true, false};
  if (lead.length == 0) return {kReplacement, 1, false, false};
  char32_t code_point = first & (0xFFU >> (lead.length + 1));
  for (int i = 1; i < lead.length; ++i) {
    if (static_cast<size_t>(i) >= bytes.size()) return {kReplacement, i, false, true};
    const auto byte = static_cast<uint8_t>(bytes[static_cast<size_t>(i)]);
    const uint8_t low = i == 1 ? lead.second_min : 0x80;
    const uint8_t high = i == 1 ? lead.second_max : 0xBF;
    if (byte < low || byte > high) return {kReplacement, i, false, false};
    code_point = (code_point << 6) | (byte & 0x3FU);
  }
  return {code_point, lead.length, true, false};
}

void append_utf8(std::string& out, char32_t code_point) {
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | (code_point >> 6));
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | (code_point >> 12));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | (code_point >> 18));
    put(0x80 | ((code_point >> 12) & 0x3F));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

bool is_valid_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const Utf8Step step = utf8_step(bytes);
    if (!step.valid) return false;
    bytes.remove_prefix(static_cast<size_t>(step.length));
  }
  return true;
}

std::string replace_invalid_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const Utf8Step step = utf8_step(bytes);
    const auto length = static_cast<size_t>(step.length);
    if (step.valid) {
      out.append(bytes.substr(0, length));
    } else {
      append_utf8(out, kReplacement);
    }
    bytes.remove_prefix(length);
  }
  return out;
}

size_t complete_utf8_prefix(std::string_view bytes) {
  const size_t window = std::min<size_t>(bytes.size(), 3);
  for (size_t back = 1; back <= window; ++back) {
    const size_t start = bytes.size() - back;
    const auto byte = static_cast<uint8_t>(bytes[start]);
    if ((byte & 0xC0) == 0x80) continue;
    return utf8_step(bytes.substr(start)).truncated ? start : bytes.size();
  }
  return bytes.size();
}

}  // namespace lmoe::text
