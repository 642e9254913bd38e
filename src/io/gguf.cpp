#include "io/gguf.h"

#include <bit>

#include "base/error.h"
#include "base/files.h"
#include "io/gguf_tensors.h"
#include "io/gguf_value.h"

namespace lmoe::io {
namespace {

static_assert(std::endian::native == std::endian::little, "files are read as they lie in memory");

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr int64_t kDefaultAlignment = 32;
constexpr int64_t kMaxAlignment = 1 << 20;
// Shortest entries: an empty key with a one-byte value; a name of one byte with one dimension.
constexpr uint64_t kMinKeyValueBytes = 8 + 4 + 1;
constexpr uint64_t kMinTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;

class MappedGguf : public GgufFile {
 public:
  explicit MappedGguf(const fs::path& path) : file_(path) {
    ByteReader reader(file_.bytes(), path.string());
    check_version(reader);
    const uint64_t tensors = reader.read<uint64_t>("number of tensors");
    const uint64_t pairs = reader.read_count(kMinKeyValueBytes, "metadata");
    LMOE_CHECK_DATA(tensors <= reader.remaining() / kMinTensorBytes, "[gguf] ", path.string(),
                    ": given ", tensors, " tensors, more than the file has room for");
    for (uint64_t i = 0; i < pairs; ++i) {
      const std::string key = reader.read_string("metadata key");
      LMOE_CHECK_DATA(!key.empty(), "[gguf] ", path.string(), ": a metadata key is empty");
      LMOE_CHECK_DATA(metadata_.emplace(key, read_gguf_value(reader, key)).second, "[gguf] ",
                      path.string(), ": key \"", key, "\" appears twice");
    }
    table_ = read_gguf_tensors(reader, tensors, alignment());
  }

  std::string description() const override { return file_.path().string(); }
  std::vector<std::string> names() const override { return table_.names(); }
  const TensorView* find(const std::string& name) const override { return table_.find(name); }
  void check_not_truncated() const override { file_.check_not_truncated(); }
  void forget_pages() const override { file_.forget_pages(); }
  const std::map<std::string, GgufValue>& metadata() const override { return metadata_; }

 private:
  static void check_version(ByteReader& reader) {
    const std::string where = "[gguf] " + reader.name() + ": ";
    LMOE_CHECK_DATA(reader.read<uint32_t>("magic") == kMagic, where,
                    "not a GGUF file (wrong first four bytes)");
    const auto version = reader.read<uint32_t>("version");
    if ((version & 0xffffU) == 0 && version != 0)
      fail(ErrorCode::kUnsupported, where, "big-endian file; expected little-endian");
    if (version == 1) fail(ErrorCode::kUnsupported, where, "version 1; expected 2 or 3");
    LMOE_CHECK_DATA(version == 2 || version == 3, where, "version: given ", version,
                    ", expected 2 or 3");
  }

  uint64_t alignment() const {
    const int64_t alignment = get_int("general.alignment", kDefaultAlignment);
    LMOE_CHECK_DATA(alignment >= 1 && alignment <= kMaxAlignment &&
                        std::has_single_bit(static_cast<uint64_t>(alignment)),
                    "[gguf] ", description(), ": general.alignment: given ", alignment,
                    ", expected a power of two up to ", kMaxAlignment);
    return static_cast<uint64_t>(alignment);
  }

  MappedFile file_;
  std::map<std::string, GgufValue> metadata_;
  TensorTable table_;
};

}  // namespace

std::unique_ptr<GgufFile> GgufFile::open(const fs::path& path) {
  return std::make_unique<MappedGguf>(path);
}

}  // namespace lmoe::io
