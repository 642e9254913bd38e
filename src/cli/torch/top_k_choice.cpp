#include "cli/torch/top_k_choice.h"

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "distributed/all_or_none.h"
#include "mixture/site_bank.h"
#include "mixture/top_k_table.h"

namespace lmoe::cli {
namespace {

/// One that is here and cannot be read is another one, and not needed.
bool is_the_one_here(const mixture::TopKTable& table) {
  try {
    return table.text() == mixture::top_k_table()->text();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCorruptData) throw;
    return false;
  }
}

/// As the first worker finds it.
std::string find_table(const train::RunFolder& folder) {
  if (!folder.resume_from()) {
    std::string here = mixture::top_k_table()->text();
    if (here != mixture::built_in_top_k_table().text())
      log().info("top-k products by the table {}", mixture::own_top_k_table_path().string());
    return here;
  }
  const fs::path kept = *folder.resume_from() / mixture::kTopKTableFile;
  if (!fs::exists(kept)) {
    log().warn(
        "{} does not say by which table its top-k products were computed: the last bits of "
        "sums may differ",
        folder.resume_from()->string());
    return mixture::top_k_table()->text();
  }
  const mixture::TopKTable table(read_file(kept), kept.string());
  if (!is_the_one_here(table))
    log().info("top-k products by the table of the checkpoint, which is not the one here");
  return table.text();
}

}  // namespace

std::map<std::string, std::string> choose_top_k_table(const recipe::Recipe& recipe,
                                                      const train::RunFolder& folder,
                                                      distributed::ProcessGroup& group) {
  if (!mixture::may_select_few(recipe.mixture)) return {};
  std::string text;
  distributed::by_first(group, [&] { text = find_table(folder); });
  text = group.broadcast_text(text);
  mixture::use_top_k_table(
      std::make_shared<const mixture::TopKTable>(text, mixture::kTopKTableFile));
  return {{mixture::kTopKTableFile, text}};
}

}  // namespace lmoe::cli
