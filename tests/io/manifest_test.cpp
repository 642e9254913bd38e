#include "io/manifest.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "support/temp_folder.h"

namespace lmoe::io {
namespace {

class Manifest : public ::testing::Test {
 protected:
  void SetUp() override {
    write("a.txt", "one");
    fs::create_directories(folder_.path() / "experts" / "x");
    write("experts/x/b.txt", "two");
    write_manifest(folder_.path());
  }
  void write(const std::string& name, const std::string& text) {
    write_file_atomically(folder_.path() / name, text);
  }
  /// The message of the error; empty when the folder is whole.
  std::string error() {
    try {
      check_manifest(folder_.path());
      return "";
    } catch (const Error& caught) {
      return caught.what();
    }
  }
  test::TempFolder folder_;
};

TEST_F(Manifest, AWholeFolderPasses) {
  EXPECT_EQ(error(), "");
  write("log.jsonl", "{}");
  write("report.html", "<p>");
  write("loss.svg", "<svg/>");
  write("eval.json", "{}");
  fs::create_directories(folder_.path() / "checkpoints" / "step-1");
  write("checkpoints/step-1/x", "y");
  EXPECT_EQ(error(), "") << "logs, reports and checkpoints are not part of it";
}

TEST_F(Manifest, EveryChangeIsNamed) {
  write("a.txt", "eno");
  EXPECT_NE(error().find("a.txt has been changed"), std::string::npos) << error();
  write("a.txt", "longer");
  EXPECT_NE(error().find("a.txt: given 6 bytes, expected 3"), std::string::npos) << error();
  fs::remove(folder_.path() / "a.txt");
  EXPECT_NE(error().find("a.txt is missing"), std::string::npos) << error();
}

TEST_F(Manifest, AFileThatIsNotListedIsAWarning) {
  write("experts/x/c.txt", "new");
  testing::internal::CaptureStderr();
  EXPECT_EQ(error(), "");
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("file experts/x/c.txt is not listed"), std::string::npos) << said;
}

TEST_F(Manifest, WithoutAGoodManifestAFolderIsNotComplete) {
  fs::remove(folder_.path() / "manifest.json");
  EXPECT_NE(error().find("not complete"), std::string::npos) << error();
  for (const char* text :
       {"", "{", "[]", "{}", R"({"files":[]})", R"({"files":{"a.txt":3}})",
        R"({"files":{"a.txt":{"bytes":-3,"sha256":""}}})", R"({"files":{"a.txt":{"bytes":3}}})",
        R"({"files":{"../a.txt":{"bytes":3,"sha256":""}}})"}) {
    write("manifest.json", text);
    EXPECT_NE(error(), "") << text;
  }
}

TEST_F(Manifest, LinksAreRefused) {
  fs::create_symlink("a.txt", folder_.path() / "link");
  EXPECT_THROW(write_manifest(folder_.path()), Error);
}

}  // namespace
}  // namespace lmoe::io
