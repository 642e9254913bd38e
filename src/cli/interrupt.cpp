#include "cli/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "base/quiet.h"

namespace lmoe::cli {
namespace {

std::atomic<bool> interrupt_seen{false};

void on_signal(int) {
  if (interrupt_seen.exchange(true)) ::_exit(130);
  if (is_quiet()) return;
  constexpr char kMessage[] =
      "\ninterrupted: ending at the next safe point; once more leaves at once\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
}

}  // namespace

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return interrupt_seen; }
void clear_interrupt() { interrupt_seen = false; }

}  // namespace lmoe::cli
