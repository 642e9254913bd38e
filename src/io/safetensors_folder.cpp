#include <map>

#include "base/error.h"
#include "base/files.h"
#include "io/safetensors.h"
#include "io/strict_json.h"

namespace lmoe::io {
namespace {

constexpr const char* kIndexName = "model.safetensors.index.json";

using WeightMap = std::map<std::string, std::string>;  // tensor name -> shard

WeightMap read_weight_map(const fs::path& index) {
  const std::string where = "[safetensors] " + index.string() + ": ";
  const nlohmann::json json = parse_large_json(read_file(index), index.string());
  const bool has_map = json.is_object() && json.contains("weight_map") &&
                       json["weight_map"].is_object() && !json["weight_map"].empty();
  LMOE_CHECK_DATA(has_map, where, "no \"weight_map\" object");
  WeightMap weight_map;
  for (const auto& [tensor, shard] : json["weight_map"].items()) {
    LMOE_CHECK_DATA(shard.is_string(), where, "\"weight_map\" must map to file names; \"", tensor,
                    "\" does not");
    weight_map.emplace(tensor, shard.get<std::string>());
  }
  return weight_map;
}

class ShardedSafetensors : public WeightSource {
 public:
  explicit ShardedSafetensors(const fs::path& folder) : folder_(folder) {
    weight_map_ = read_weight_map(folder / kIndexName);
    for (const auto& [tensor, shard] : weight_map_) open_shard(shard);
    for (const auto& [shard, file] : shards_) check_shard(shard, *file);
    for (const auto& [tensor, shard] : weight_map_) {
      LMOE_CHECK_DATA(shards_.at(shard)->find(tensor) != nullptr, where(), "tensor \"", tensor,
                      "\" is not in ", shard, " as the index says");
    }
  }

  std::string description() const override { return folder_.string(); }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [tensor, shard] : weight_map_) names.push_back(tensor);
    return names;
  }
  const TensorView* find(const std::string& name) const override {
    const auto found = weight_map_.find(name);
    return found == weight_map_.end() ? nullptr : shards_.at(found->second)->find(name);
  }
  void check_not_truncated() const override {
    for (const auto& [shard, file] : shards_) file->check_not_truncated();
  }
  void forget_pages() const override {
    for (const auto& [shard, file] : shards_) file->forget_pages();
  }

 protected:
  const WeightSource& file_of(const std::string& name) const override {
    return *shards_.at(weight_map_.at(name));
  }

 private:
  std::string where() const { return "[safetensors] " + (folder_ / kIndexName).string() + ": "; }

  void open_shard(const std::string& shard) {
    if (shards_.count(shard) != 0) return;
    const bool plain = !shard.empty() && shard != "." && shard != ".." &&
                       shard.find_first_of(std::string("/\\\0", 3)) == std::string::npos;
    LMOE_CHECK_DATA(plain, where(), "shard \"", shard,
                    "\" is not the name of a file in this folder");
    LMOE_CHECK_DATA(fs::exists(folder_ / shard), where(), "shard ", shard, " does not exist");
    shards_.emplace(shard, SafetensorsFile::open(folder_ / shard));
  }
  /// A tensor that the index does not place in this shard would be lost or be there twice.
  void check_shard(const std::string& shard, const SafetensorsFile& file) const {
    for (const std::string& tensor : file.names()) {
      const auto listed = weight_map_.find(tensor);
      LMOE_CHECK_DATA(listed != weight_map_.end(), where(), "tensor \"", tensor, "\" of ", shard,
                      " is not in the index");
      LMOE_CHECK_DATA(listed->second == shard, where(), "tensor \"", tensor, "\" is in ", shard,
                      ", but the index places it in ", listed->second);
    }
  }

  fs::path folder_;
  WeightMap weight_map_;
  std::map<std::string, std::unique_ptr<SafetensorsFile>> shards_;
};

}  // namespace

std::unique_ptr<WeightSource> open_safetensors_folder(const fs::path& folder) {
  if (fs::exists(folder / "model.safetensors"))
    return SafetensorsFile::open(folder / "model.safetensors");
  if (fs::exists(folder / kIndexName)) return std::make_unique<ShardedSafetensors>(folder);
  for (const char* pickle : {"pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt"}) {
    if (fs::exists(folder / pickle))
      fail(ErrorCode::kUnsupported, "[safetensors] ", (folder / pickle).string(),
           " is a pickle, which can run code; convert the model to safetensors");
  }
  fail(ErrorCode::kNotFound, "[safetensors] ", folder.string(),
       " has neither model.safetensors nor ", kIndexName);
}

}  // namespace lmoe::io
