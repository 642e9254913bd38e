// Malformed and unusual safetensors files, by name. Shared by the test of our reader and by the one
// that asks the `safetensors` package for its verdict.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace lmoe::test {

enum class Verdict {
  kValid,
  kInvalid,
  kStricter,  ///< the package takes it, we do not: a name or field that could be read in two ways
};

struct SafetensorsCase {
  std::string name;
  std::string bytes;
  Verdict verdict = Verdict::kInvalid;
};

inline std::string safetensors_bytes(const std::string& header,
                                     const std::string& data,
                                     uint64_t length) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

inline std::string safetensors_bytes(const std::string& header, const std::string& data = {}) {
  return safetensors_bytes(header, data, header.size());
}

/// {"a": …} with four bytes of data.
inline std::string one_tensor(const std::string& dtype,
                              const std::string& shape,
                              const std::string& offsets) {
  return safetensors_bytes(R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape +
                               R"(,"data_offsets":)" + offsets + "}}",
                           "abcd");
}

inline std::string repeat(const std::string& text, size_t count) {
  std::string result;
  for (size_t i = 0; i < count; ++i) result += text;
  return result;
}

inline std::vector<SafetensorsCase> safetensors_cases() {
  const std::string tensor = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  const std::string good = R"({"a":)" + tensor + "}";
  const auto two = [](const std::string& first, const std::string& second, size_t bytes) {
    return safetensors_bytes(R"({"a":{"dtype":"U8","shape":)" + first +
                                 R"(},"b":{"dtype":"U8","shape":)" + second + "}}",
                             std::string(bytes, 'x'));
  };
  const auto metadata = [](const std::string& value) {
    return safetensors_bytes(R"({"__metadata__":)" + value + "}");
  };
  const auto extra = [](const std::string& value) {
    return safetensors_bytes(
        R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":)" + value + "}}", "abcd");
  };
  return {
      // Valid.
      {"good", safetensors_bytes(good, "abcd"), Verdict::kValid},
      {"padded header", safetensors_bytes(good + "   \n", "abcd"), Verdict::kValid},
      {"leading space", safetensors_bytes(" " + good, "abcd"), Verdict::kValid},
      {"no tensors", safetensors_bytes("{}"), Verdict::kValid},
      {"0-d tensor", one_tensor("F32", "[]", "[0,4]"), Verdict::kValid},
      {"empty tensor",
       safetensors_bytes(R"({"a":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]}})"),
       Verdict::kValid},
      {"empty tensor beside another",
       two(R"([0],"data_offsets":[0,0])", R"([3],"data_offsets":[0,3])", 3), Verdict::kValid},
      {"empty tensor at the end",
       two(R"([0],"data_offsets":[3,3])", R"([3],"data_offsets":[0,3])", 3), Verdict::kValid},
      {"out of order", two(R"([2],"data_offsets":[3,5])", R"([3],"data_offsets":[0,3])", 5),
       Verdict::kValid},
      {"empty name", safetensors_bytes(R"({"":)" + tensor + "}", "abcd"), Verdict::kValid},
      {"metadata", metadata(R"({"format":"pt"})"), Verdict::kValid},
      {"null metadata", metadata("null"), Verdict::kValid},
      // The file.
      {"empty file", ""},
      {"seven bytes", std::string(7, '\0')},
      {"eight bytes", std::string(8, '\0')},
      {"header length 0", safetensors_bytes("", "abcd", 0)},
      {"header longer than the file", safetensors_bytes(good, "abcd", good.size() + 5)},
      {"header over 100 MB", safetensors_bytes(good, "abcd", 100'000'001)},
      {"header length 2^64-1", safetensors_bytes(good, "abcd", UINT64_MAX)},
      {"header length 2^64-5", safetensors_bytes(good, "abcd", UINT64_MAX - 4)},
      {"longer than the last tensor", safetensors_bytes(good, "abcde")},
      {"shorter than the last tensor", safetensors_bytes(good, "abc")},
      // The JSON.
      {"not JSON", safetensors_bytes("hello", "")},
      {"list", safetensors_bytes("[]")},
      {"list of tensors", safetensors_bytes("[" + tensor + "]", "abcd")},
      {"number", safetensors_bytes("4")},
      {"truncated JSON", safetensors_bytes(good.substr(0, good.size() - 1), "abcd")},
      {"two documents", safetensors_bytes(good + "{}", "abcd")},
      {"byte-order mark", safetensors_bytes("\xef\xbb\xbf" + good, "abcd")},
      {"NUL after the header", safetensors_bytes(good + std::string(1, '\0'), "abcd")},
      {"invalid UTF-8", safetensors_bytes("{\"\xff\":" + tensor + "}", "abcd")},
      {"lone surrogate", safetensors_bytes("{\"\\ud800\":" + tensor + "}", "abcd")},
      {"deep nesting",
       safetensors_bytes(R"({"a":)" + repeat("[", 100'000) + repeat("]", 100'000) + "}")},
      {"deep nesting of objects",
       safetensors_bytes(repeat(R"({"a":)", 100'000) + "1" + repeat("}", 100'000))},
      {"nested field", extra("[[]]"), Verdict::kStricter},
      {"unknown field", extra("1"), Verdict::kStricter},
      {"duplicate tensor",
       safetensors_bytes(R"({"a":)" + tensor + R"(,"a":)" + tensor + "}", "abcd"),
       Verdict::kStricter},
      {"duplicate field",
       safetensors_bytes(R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                         "abcd")},
      {"duplicate metadata key", metadata(R"({"a":"1","a":"2"})"), Verdict::kStricter},
      {"duplicate metadata", safetensors_bytes(R"({"__metadata__":{},"__metadata__":{}})")},
      {"metadata number", metadata(R"({"a":1})")},
      {"metadata object", metadata(R"({"a":{}})")},
      {"metadata text", metadata(R"("a")")},
      {"missing dtype", safetensors_bytes(R"({"a":{"shape":[1],"data_offsets":[0,4]}})", "abcd")},
      {"missing shape", safetensors_bytes(R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", "abcd")},
      {"missing offsets", safetensors_bytes(R"({"a":{"dtype":"F32","shape":[1]}})", "abcd")},
      {"null tensor", safetensors_bytes(R"({"a":null})")},
      {"tensor as a list", safetensors_bytes(R"({"a":["F32",[1],[0,4]]})", "abcd"),
       Verdict::kStricter},
      {"tensor as a number", safetensors_bytes(R"({"a":1})")},
      // Types, shapes and offsets.
      {"unknown dtype", one_tensor("F33", "[1]", "[0,4]")},
      {"lower-case dtype", one_tensor("f32", "[1]", "[0,4]")},
      {"quantised dtype", one_tensor("Q4_0", "[1]", "[0,4]")},
      {"NaN offset", one_tensor("F32", "[1]", "[0,NaN]")},
      {"float offset", one_tensor("F32", "[1]", "[0,4.0]")},
      {"exponent offset", one_tensor("F32", "[1]", "[0,4e0]")},
      {"negative offset", one_tensor("F32", "[1]", "[-4,0]")},
      {"minus zero", one_tensor("F32", "[1]", "[-0,4]")},
      {"text offset", one_tensor("F32", "[1]", R"(["0","4"])")},
      {"one offset", one_tensor("F32", "[1]", "[0]")},
      {"three offsets", one_tensor("F32", "[1]", "[0,4,4]")},
      {"offset of 2^64", one_tensor("F32", "[1]", "[0,18446744073709551616]")},
      {"end before begin", one_tensor("F32", "[1]", "[4,0]")},
      {"past the end", one_tensor("F32", "[2]", "[0,8]")},
      {"begin past the end", one_tensor("F32", "[1]", "[4,8]")},
      {"begin near 2^64", one_tensor("F32", "[1]", "[18446744073709551612,18446744073709551616]")},
      {"hole before", two(R"([2],"data_offsets":[1,3])", R"([2],"data_offsets":[3,5])", 5)},
      {"hole between", two(R"([2],"data_offsets":[0,2])", R"([2],"data_offsets":[3,5])", 5)},
      {"overlap", two(R"([3],"data_offsets":[0,3])", R"([3],"data_offsets":[2,5])", 5)},
      {"same bytes twice", two(R"([4],"data_offsets":[0,4])", R"([4],"data_offsets":[0,4])", 4)},
      {"span below shape", one_tensor("F32", "[2]", "[0,4]")},
      {"span above shape", one_tensor("F16", "[1]", "[0,4]")},
      {"negative dimension", one_tensor("F32", "[-1]", "[0,4]")},
      {"float dimension", one_tensor("F32", "[1.0]", "[0,4]")},
      {"nested shape", one_tensor("F32", "[[1]]", "[0,4]")},
      {"product wraps to 0", one_tensor("F32", "[4294967296,4294967296]", "[0,0]")},
      {"product wraps to 0, file fits",
       safetensors_bytes(
           R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})")},
      {"product wraps to 1", one_tensor("F32", "[6148914691236517205,3]", "[0,4]")},
      {"size wraps to 4", one_tensor("F32", "[4611686018427387905]", "[0,4]")},
      {"wraps before a zero",
       safetensors_bytes(
           R"({"a":{"dtype":"F32","shape":[9223372036854775807,4,0],"data_offsets":[0,0]}})")},
  };
}

}  // namespace lmoe::test
