// Ctrl-C: the first asks the work to end at the next safe point, the second leaves at once (exit
// code 130).
#pragma once

namespace lmoe::cli {

/// Installs the handlers of SIGINT and SIGTERM.
void catch_interrupts();
bool interrupted();
/// For programs that go on after an interrupt (chat).
void clear_interrupt();

}  // namespace lmoe::cli
