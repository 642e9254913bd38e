#include "cli/torch_program.h"

#include "base/error.h"
#include "base/files.h"

namespace lmoe::cli {

fs::path torch_program() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) fail(ErrorCode::kIo, "[start] cannot tell where lmoe is: ", error.message());
  return self.parent_path() / "lmoe-torch";
}

}  // namespace lmoe::cli
