#include "report/loss_svg.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

namespace lmoe::report {

namespace {

constexpr double kWidth = 720, kHeight = 360, kLeft = 64, kRight = 20, kTop = 40, kBottom = 44;

struct Point {
  double step, loss;
};

std::vector<Point> points_of(const Json& log, const char* key) {
  std::vector<Point> points;
  for (const Json& entry : log) {
    if (!entry.is_object() || !entry.contains("step") || !entry.contains(key)) continue;
    if (!entry["step"].is_number() || !entry[key].is_number()) continue;
    const Point point{entry["step"].get<double>(), entry[key].get<double>()};
    if (std::isfinite(point.step) && std::isfinite(point.loss)) points.push_back(point);
  }
  return points;
}

struct Range {
  double low, high;
  double share(double value) const { return (value - low) / (high - low); }
};

/// A round distance between ticks, so that about `count` of them fit.
double tick_distance(const Range& range, int count) {
  const double rough = (range.high - range.low) / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (rough <= factor * power) return factor * power;
  return 10 * power;
}

Range range_of(const std::vector<Point>& a, const std::vector<Point>& b, double Point::*member) {
  Range range{INFINITY, -INFINITY};
  for (const auto* points : {&a, &b}) {
    for (const Point& point : *points) {
      range.low = std::min(range.low, point.*member);
      range.high = std::max(range.high, point.*member);
    }
  }
  if (!(range.low <= range.high)) return {0, 1};
  const double least = std::max(1e-6, 1e-6 * std::abs(range.high));
  if (range.high - range.low < least) return {range.low - least, range.high + least};
  return range;
}

std::string format(const char* pattern, auto... values) {
  char text[256];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

double x_of(const Range& range, double value) {
  return kLeft + range.share(value) * (kWidth - kLeft - kRight);
}
double y_of(const Range& range, double value) {
  return kHeight - kBottom - range.share(value) * (kHeight - kTop - kBottom);
}

std::string axes(const Range& steps, const Range& losses) {
  std::string svg;
  const double dy = tick_distance(losses, 5);
  for (double y = std::ceil(losses.low / dy) * dy; y <= losses.high; y += dy) {
    svg += format("<path d=\"M%g %.1fH%g\" stroke=\"#d9d9d4\"/>\n", kLeft, y_of(losses, y),
                  kWidth - kRight);
    svg += format("<text x=\"%g\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>\n", kLeft - 8,
                  y_of(losses, y) + 4, y);
  }
  const double dx = tick_distance(steps, 6);
  for (double x = std::ceil(steps.low / dx) * dx; x <= steps.high; x += dx) {
    svg += format("<text x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">%.6g</text>\n", x_of(steps, x),
                  kHeight - kBottom + 18, x);
  }
  svg += format("<text x=\"%g\" y=\"%g\" text-anchor=\"end\">step</text>\n", kWidth - kRight,
                kHeight - 8);
  return svg;
}

std::string curve(const std::vector<Point>& points,
                  const Range& steps,
                  const Range& losses,
                  const char* color) {
  if (points.empty()) return "";
  std::string path;
  for (const Point& point : points) {
    path += format("%s%.1f %.1f", path.empty() ? "M" : "L", x_of(steps, point.step),
                   y_of(losses, point.loss));
  }
  return format(
             "<path fill=\"none\" stroke-width=\"2\" stroke-linejoin=\"round\" stroke=\"%s\" d=\"",
             color) +
         path + "\"/>\n";
}

std::string key(double x, const char* color, const char* label) {
  return format("<path d=\"M%g 22h18\" stroke-width=\"3\" stroke=\"%s\"/>", x, color) +
         format("<text x=\"%g\" y=\"26\">%s</text>\n", x + 24, label);
}

}  // namespace

std::string loss_svg(const Json& log) {
  constexpr const char* kTrain = "#2f5fd0";
  constexpr const char* kValidation = "#c8502d";
  const std::vector<Point> train = points_of(log, "loss");
  const std::vector<Point> validation = points_of(log, "eval_loss");
  const Range steps = range_of(train, validation, &Point::step);
  const Range losses = range_of(train, validation, &Point::loss);

  std::string svg = format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" width=\"%g\" height=\"%g\" "
      "font-family=\"sans-serif\" font-size=\"12\" fill=\"#333\">\n",
      kWidth, kHeight, kWidth, kHeight);
  svg += "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
  svg += axes(steps, losses);
  svg += curve(train, steps, losses, kTrain);
  svg += curve(validation, steps, losses, kValidation);
  for (const Point& point : validation) {
    svg += format("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n",
                  x_of(steps, point.step), y_of(losses, point.loss), kValidation);
  }
  if (!train.empty()) svg += key(kLeft, kTrain, "training loss");
  if (!validation.empty()) svg += key(kLeft + 140, kValidation, "validation loss");
  return svg + "</svg>\n";
}

}  // namespace lmoe::report
