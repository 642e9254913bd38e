#include "base/quiet.h"

#include <atomic>

namespace lmoe {
namespace {

std::atomic<bool> quiet{false};

}  // namespace

void be_quiet() { quiet = true; }
bool is_quiet() { return quiet; }

}  // namespace lmoe
