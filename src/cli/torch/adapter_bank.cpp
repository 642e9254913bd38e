#include "cli/torch/adapter_bank.h"

#include <set>

#include "base/error.h"
#include "base/files.h"
#include "mixture/adapter_similarity.h"
#include "spec/method_info.h"

namespace lmoe::cli {
namespace {

fs::path without_slash(const std::string& folder) {
  const fs::path path = fs::path(folder).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

/// Refuses names that cannot be experts.
void check_names(const AdapterBank& bank) {
  spec::MixtureSpec spec = spec::find_method("k-shot").preset();
  spec.experts.count = std::ssize(bank.names);
  spec.experts.names = bank.names;
  spec.select.k = 1;
  spec::check_mixture(spec, "select");
}

}  // namespace

AdapterBank read_adapter_bank(const std::vector<std::string>& given) {
  AdapterBank bank;
  std::set<std::string> seen;
  for (const std::string& text : given) {
    const size_t equals = text.find('=');
    const bool is_named = equals != std::string::npos && text.find('/') > equals;
    const fs::path path = without_slash(is_named ? text.substr(equals + 1) : text);
    const std::string name = is_named ? text.substr(0, equals) : path.filename().string();
    LMOE_CHECK_ARG(seen.insert(name).second, "[select] two adapters are called ", name, ": given ",
                   text, ", expected names that differ; hint: NAME=", path.string());
    bank.names.push_back(name);
    bank.paths.push_back(path);
  }
  bank.folders = mixture::read_bank(bank.paths);
  check_names(bank);
  return bank;
}

}  // namespace lmoe::cli
