#include "distributed/all_or_none.h"

#include <algorithm>

namespace lmoe::distributed {
namespace {

int exit_code_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return exit_code(error.code());
  } catch (...) {
    return 1;
  }
}

}  // namespace

void all_or_none(ProcessGroup& group, const std::function<void()>& work) {
  if (group.size() == 1) return work();
  std::exception_ptr failure;
  try {
    work();
  } catch (...) {
    failure = std::current_exception();
  }
  std::vector<double> codes(static_cast<size_t>(group.size()), 0.0);
  const auto rank = static_cast<size_t>(group.rank());
  if (failure) codes[rank] = exit_code_of(failure);
  group.sum(codes);
  const auto first = std::find_if(codes.begin(), codes.end(), [](double code) { return code > 0; });
  if (first == codes.end()) return;
  if (first == codes.begin() + group.rank()) std::rethrow_exception(failure);
  throw FailedElsewhere(static_cast<int>(*first));
}

void by_first(ProcessGroup& group, const std::function<void()>& work) {
  all_or_none(group, [&] {
    if (group.is_first()) work();
  });
}

void told_by_first(const ProcessGroup& group, const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    if (group.is_first()) throw;
    throw FailedElsewhere(exit_code(error.code()));
  }
}

}  // namespace lmoe::distributed
