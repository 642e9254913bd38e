#include "arch/family.h"
#include "arch/open_model.h"
#include "arch/tensor_names.h"
#include "arch/tokenizer_files.h"

namespace lmoe::arch {

std::unique_ptr<BaseModel> open_gguf_file(const std::filesystem::path& path) {
  std::unique_ptr<io::GgufFile> file = io::GgufFile::open(path);
  const GgufConfig config(*file);
  const Family& family = family_of_gguf(config.architecture(),
                                        "[load_base] " + path.string() + ": general.architecture");
  auto model = std::make_unique<BaseModel>();
  model->path = path.string();
  model->config = family.from_gguf(config);
  model->rope_rows_interleaved = family.gguf_rows_interleaved;
  model->norms_stored_plus_one = family.gguf_norms_plus_one;
  model->tensor_name = [settings = model->config](TensorRole role, int layer) {
    return gguf_tensor_name(settings, role, layer);
  };
  const io::GgufFile& metadata = *file;
  model->source = std::move(file);
  check_inventory(*model);
  read_gguf_tokenizer(metadata, *model);
  return model;
}

}  // namespace lmoe::arch
