#include "cli/router_view.h"

#include <algorithm>
#include <cmath>

#include "cli/terminal.h"
#include "eval/table.h"

namespace lmoe::cli {
namespace {

/// Colours of the 256-colour table that are told apart on dark and light backgrounds.
constexpr int kColours[] = {32, 166, 70, 161, 99, 136, 37, 208};

std::string coloured(const std::string& text, int expert) {
  const int colour = kColours[static_cast<size_t>(expert) % std::size(kColours)];
  return "\033[38;5;" + std::to_string(colour) + "m" + text + "\033[0m";
}

std::string expert_lines(const decode::RouterInfo& router,
                         const std::vector<eval::SampleToken>& tokens,
                         bool colours) {
  const size_t experts = router.expert_names.size();
  std::vector<double> weight(experts);
  std::vector<double> led(experts);
  double count = 0;
  for (const eval::SampleToken& token : tokens) {
    if (token.expert < 0) continue;
    ++count;
    led[static_cast<size_t>(token.expert)] += 1;
    for (size_t e = 0; e < experts; ++e) weight[e] += token.weights[e];
  }
  std::vector<std::vector<std::string>> rows = {{"expert", "mean weight", "led tokens"}};
  for (size_t e = 0; e < experts; ++e) {
    const double share = weight[e] / std::max(count, 1.0);
    rows.push_back({std::to_string(e) + " " + router.expert_names[e], eval::fixed(share, 3),
                    eval::fixed(led[e], 0) + " of " + eval::fixed(count, 0)});
  }
  const std::string table = eval::align_columns(rows);
  std::string text;
  size_t begin = 0;
  for (size_t row = 0; row < rows.size(); ++row) {
    const size_t end = table.find('\n', begin);
    text += table.substr(begin, end - begin);
    if (row > 0) {
      const double share = weight[row - 1] / std::max(count, 1.0);
      const std::string bar(static_cast<size_t>(std::lround(40 * share)), '#');
      text += "  " + (colours ? coloured(bar, static_cast<int>(row) - 1) : bar);
    }
    text += "\n";
    begin = end + 1;
  }
  return text;
}

}  // namespace

std::string router_view(const decode::RouterInfo& router,
                        const std::vector<eval::SampleToken>& tokens,
                        bool colours) {
  std::string text = expert_lines(router, tokens, colours) + "\n";
  for (const eval::SampleToken& token : tokens) {
    if (token.text.empty()) continue;
    const std::string shown = printable(token.text);
    if (token.expert < 0) {
      text += shown;
    } else if (colours) {
      text += coloured(shown, token.expert);
    } else {
      text += shown + "[" + std::to_string(token.expert) + "]";
    }
  }
  return text + "\n";
}

}  // namespace lmoe::cli
