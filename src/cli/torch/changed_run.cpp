#include "cli/torch/changed_run.h"

#include "base/error.h"
#include "base/files.h"
#include "io/manifest.h"
#include "runner/base_record.h"
#include "spec/mixture_spec.h"

namespace lmoe::cli {
namespace {

constexpr const char* kConfig = "config_effective.json";

/// What a finished run and a checkpoint of it have in the same place.
void copy_side_files(const fs::path& run, const fs::path& target) {
  for (const char* name : {"base.json", "tokenizer.json", "chat_template.jinja"})
    if (fs::exists(run / name)) write_file_atomically(target / name, read_file(run / name));
}

}  // namespace

void write_changed_run(const fs::path& run,
                       const mixture::Mixture& mixture,
                       const fs::path& target) {
  FolderWriter writer(target);
  mixture.save(writer.path(), runner::read_base_record(run)["name"].get<std::string>());
  copy_side_files(run, writer.path());
  if (fs::exists(run / kConfig)) {
    Json config = Json::parse(read_file(run / kConfig), nullptr, /*allow_exceptions=*/false);
    LMOE_CHECK_DATA(config.is_object(), "[experts] ", (run / kConfig).string(),
                    " is no JSON object");
    config["mixture"] = spec::write_mixture(mixture.spec());
    config["output_dir"] = target.string();
    write_file_atomically(writer.path() / kConfig, config.dump(2) + "\n");
  }
  io::write_manifest(writer.path());
  writer.commit();
}

}  // namespace lmoe::cli
