// What a person sees while something runs: one changing line on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace lmoe::cli {

bool stderr_is_terminal();
bool stdout_is_terminal();
/// Columns of the terminal on stderr, 80 when unknown.
int terminal_width();

std::string bytes_text(double bytes);  ///< "1.42GB"

/// Text as a terminal may show it: control characters become spaces, so that model output cannot
/// move the cursor.
std::string printable(const std::string& text);

/// One phase of work ("reading weights", "evaluating clinc150") on stderr. On a terminal a bar that
/// is redrawn at most ten times a second; elsewhere a plain line at the start, at the end and every
/// 30 seconds. The time that remains is left out until something is done.
class Progress {
 public:
  enum class Unit { kCount, kBytes };

  /// Bytes are shown with their unit and how many of them come per second.
  explicit Progress(std::string phase, Unit unit = Unit::kCount);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `details` follows the bar: "loss 1.83 tok/s 812".
  void update(int64_t done, int64_t total, const std::string& details = "");
  /// A line of its own that stays, above the bar.
  void line(const std::string& text);
  void finish(const std::string& details = "");
  /// What remains is estimated from here on: another part of the phase, or `done` was there before.
  void restart(int64_t done = 0);

 private:
  using Clock = std::chrono::steady_clock;
  void draw(int64_t done, int64_t total, const std::string& details);
  void erase_bar();
  std::string amount_text(int64_t amount) const;

  std::string phase_;
  Unit unit_;
  Clock::time_point started_, counted_from_, last_drawn_;
  bool bar_shown_ = false;
  bool finished_ = false;
  int64_t first_done_ = 0, last_done_ = 0, last_total_ = 0;
};

}  // namespace lmoe::cli
