"use strict";
// Charts that know how to draw themselves again when the width or the theme changes.

const charts = [];

/** An element that `draw(width)` fills; it returns one node or null. */
function chart(draw, label) {
  const container = el("div", { class: "chart", role: "img", "aria-label": label });
  const redraw = () => {
    const node = container.clientWidth > 0 ? draw(container.clientWidth) : null;
    container.replaceChildren(...(node ? [node] : []));
  };
  charts.push(redraw);
  return { container, redraw };
}

function drawAll() {
  for (const redraw of charts) redraw();
}

function plot(width, options) {
  return Plot.plot({
    width,
    height: 260,
    marginLeft: 52,
    marginBottom: 34,
    ...options,
    style: { background: "transparent", color: "var(--ink-2)", fontSize: "11.5px", ...(options.style || {}) },
  });
}

const quietGrid = (options = {}) => Plot.gridY({ stroke: "var(--line)", strokeOpacity: 1, ...options });

function heatColor() {
  const low = themeColor("--heat-low"), high = themeColor("--heat-high");
  return d3.interpolateLab(low, high);
}

function ramp(left, right) {
  return el("span", { class: "ramp" }, left,
    el("i", { style: { background: "linear-gradient(90deg, var(--heat-low), var(--heat-high))" } }), right);
}

/** Mean over a centred window, narrower at the ends, so that the curve does not lag behind its points. */
function smooth(values, reach) {
  return values.map((_, i) => {
    const half = Math.min(reach, i, values.length - 1 - i);
    return d3.mean(values.slice(i - half, i + half + 1));
  });
}
