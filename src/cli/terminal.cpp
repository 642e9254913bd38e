#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/duration.h"
#include "base/quiet.h"

namespace lmoe::cli {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr std::chrono::seconds kPlainLineEvery{30};

std::string bar(double share, int cells) {
  const int full = static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * cells));
  return "[" + std::string(static_cast<size_t>(full), '#') +
         std::string(static_cast<size_t>(cells - full), '.') + "]";
}

}  // namespace

bool stderr_is_terminal() { return ::isatty(STDERR_FILENO) == 1; }
bool stdout_is_terminal() { return ::isatty(STDOUT_FILENO) == 1; }

int terminal_width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string bytes_text(double bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (bytes >= 1000 && unit + 1 < std::size(kUnits)) {
    bytes /= 1000;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f%s" : "%.2f%s", bytes, kUnits[unit]);
  return text;
}

std::string printable(const std::string& text) {
  std::string clean = text;
  for (char& c : clean) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f) c = ' ';
  }
  return clean;
}

Progress::Progress(std::string phase, Unit unit)
    : phase_(std::move(phase)),
      unit_(unit),
      started_(Clock::now()),
      counted_from_(started_),
      last_drawn_(started_) {
  bar_shown_ = stderr_is_terminal() && !is_quiet();
  if (!is_quiet()) std::fprintf(stderr, bar_shown_ ? "\r\033[K%s …" : "%s …\n", phase_.c_str());
}

Progress::~Progress() { erase_bar(); }

void Progress::update(int64_t done, int64_t total, const std::string& details) {
  last_done_ = done;
  last_total_ = total;
  if (is_quiet()) return;
  const auto now = Clock::now();
  const bool due = stderr_is_terminal() ? now - last_drawn_ >= kRedraw || !bar_shown_
                                        : now - last_drawn_ >= kPlainLineEvery;
  if (!due) return;
  last_drawn_ = now;
  draw(done, total, details);
}

std::string Progress::amount_text(int64_t amount) const {
  return unit_ == Unit::kBytes ? bytes_text(static_cast<double>(amount)) : std::to_string(amount);
}

void Progress::draw(int64_t done, int64_t total, const std::string& details) {
  const double elapsed = std::chrono::duration<double>(Clock::now() - counted_from_).count();
  const double share = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 0.0;
  std::string text = phase_ + " " + amount_text(done) + (total > 0 ? "/" + amount_text(total) : "");
  if (total > 0 && done > first_done_)
    text += " eta " + duration_text(elapsed * static_cast<double>(total - done) /
                                    static_cast<double>(done - first_done_));
  if (unit_ == Unit::kBytes && elapsed > 0)
    text += " " + bytes_text(static_cast<double>(done - first_done_) / elapsed) + "/s";
  if (!details.empty()) text += " " + details;
  if (!stderr_is_terminal()) {
    std::fprintf(stderr, "%s\n", text.c_str());
    return;
  }
  const auto width = static_cast<size_t>(std::max(20, terminal_width() - 1));
  if (total > 0 && text.size() + 13 < width) text = bar(share, 10) + " " + text;
  if (text.size() > width) text.resize(width);
  std::fprintf(stderr, "\r\033[K%s", text.c_str());
  std::fflush(stderr);
  bar_shown_ = true;
}

void Progress::erase_bar() {
  if (bar_shown_) std::fprintf(stderr, "\r\033[K");
  bar_shown_ = false;
}

void Progress::restart(int64_t done) {
  counted_from_ = Clock::now();
  first_done_ = done;
}

void Progress::line(const std::string& text) {
  if (is_quiet()) return;
  erase_bar();
  std::fprintf(stderr, "%s\n", text.c_str());
}

void Progress::finish(const std::string& details) {
  if (finished_ || is_quiet()) return;
  finished_ = true;
  erase_bar();
  const double elapsed = std::chrono::duration<double>(Clock::now() - started_).count();
  std::string text = phase_ + ": ";
  if (last_total_ > 0) text += amount_text(last_done_) + "/" + amount_text(last_total_) + " ";
  std::fprintf(stderr, "%sin %s%s%s\n", text.c_str(), duration_text(elapsed).c_str(),
               details.empty() ? "" : ", ", details.c_str());
}

}  // namespace lmoe::cli
