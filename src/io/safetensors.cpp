#include "io/safetensors.h"

#include "base/error.h"
#include "base/files.h"
#include "io/safetensors_header.h"
#include "io/tensor_table.h"

namespace lmoe::io {
namespace {

class MappedSafetensors : public SafetensorsFile {
 public:
  explicit MappedSafetensors(const fs::path& path) : file_(path) {
    SafetensorsHeader header = parse_safetensors_header(file_.bytes(), path.string());
    metadata_ = std::move(header.metadata);
    for (TensorView& tensor : header.tensors) table_.add(std::move(tensor));
  }

  std::string description() const override { return file_.path().string(); }
  std::vector<std::string> names() const override { return table_.names(); }
  const TensorView* find(const std::string& name) const override { return table_.find(name); }
  void check_not_truncated() const override { file_.check_not_truncated(); }
  void forget_pages() const override { file_.forget_pages(); }
  const std::map<std::string, std::string>& metadata() const override { return metadata_; }

 private:
  MappedFile file_;
  TensorTable table_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace

std::unique_ptr<SafetensorsFile> SafetensorsFile::open(const fs::path& path) {
  return std::make_unique<MappedSafetensors>(path);
}

}  // namespace lmoe::io
