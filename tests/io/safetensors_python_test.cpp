// Asks the `safetensors` package (the Rust parser) about the same files.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "base/files.h"
#include "base/json.h"
#include "io/safetensors.h"
#include "io/safetensors_cases.h"
#include "support/temp_folder.h"

namespace lmoe::io {
namespace {

using test::TempFolder;
using test::Verdict;

constexpr const char* kScript = R"(
import json, pathlib, sys
from safetensors import safe_open
result = {}
for path in pathlib.Path(sys.argv[1]).glob("*.safetensors"):
    try:
        with safe_open(path, "np") as file:
            result[path.stem] = {name: file.get_tensor(name).tolist() for name in file.keys() if len(sys.argv) > 2}
            result[path.stem + ".metadata"] = file.metadata()
    except Exception as error:
        result[path.stem] = str(error)
pathlib.Path(sys.argv[1], "result.json").write_text(json.dumps(result))
)";

Json ask_python(const fs::path& folder, bool with_values) {
  write_file_atomically(folder / "ask.py", kScript);
  const std::string command = std::string(LMOE_PYTHON) + " " + (folder / "ask.py").string() + " " +
                              folder.string() + (with_values ? " values" : "");
  if (std::system(command.c_str()) != 0) throw std::runtime_error("cannot run " + command);
  return Json::parse(read_file(folder / "result.json"));
}

TEST(SafetensorsPython, SameVerdicts) {
  const TempFolder folder;
  const auto cases = test::safetensors_cases();
  for (size_t i = 0; i < cases.size(); ++i)
    write_file_atomically(folder.path() / (std::to_string(i) + ".safetensors"), cases[i].bytes);
  const Json result = ask_python(folder.path(), /*with_values=*/false);
  for (size_t i = 0; i < cases.size(); ++i) {
    const Json& answer = result.at(std::to_string(i));
    EXPECT_EQ(answer.is_object(), cases[i].verdict != Verdict::kInvalid)
        << cases[i].name << ": " << answer;
  }
}

TEST(SafetensorsPython, ReadsWhatWeWrite) {
  const TempFolder folder;
  const std::vector<float> values = {1.5, -2, 3, 4, 5, 6};
  const std::vector<uint8_t> odd = {1, 2, 3};
  const std::vector<double> scalar = {0.1};
  write_safetensors(folder.path() / "a.safetensors",
                    {{"odd", DType::kU8, {3}, std::as_bytes(std::span(odd))},
                     {"größe \"q\"\n", DType::kF32, {2, 3}, std::as_bytes(std::span(values))},
                     {"scalar", DType::kF64, {}, std::as_bytes(std::span(scalar))},
                     {"empty", DType::kI64, {0, 4}, {}}},
                    {{"format", "pt"}});
  write_safetensors(folder.path() / "none.safetensors", {});
  const Json result = ask_python(folder.path(), /*with_values=*/true);
  ASSERT_TRUE(result.at("a").is_object()) << result;
  EXPECT_EQ(result["a"]["odd"], Json({1, 2, 3}));
  EXPECT_EQ(result["a"]["größe \"q\"\n"], Json({{1.5, -2, 3}, {4, 5, 6}}));
  EXPECT_EQ(result["a"]["scalar"], Json(0.1));
  EXPECT_EQ(result["a"]["empty"], Json::array());
  EXPECT_EQ(result["a.metadata"], Json({{"format", "pt"}}));
  EXPECT_EQ(result["none"], Json::object());
}

}  // namespace
}  // namespace lmoe::io
