"use strict";
// Several methods beside each other: what they cost, how the learning rate matters, who routes where.

function comparisonSections(comparison) {
  const methods = comparison && isList(comparison.methods) ? comparison.methods : [];
  if (!methods.length) return [];
  const colors = variantColors(methods.map((m) => m.method));
  return [costSection(methods), ratesSection(methods, colors, comparison.chosen_by), routingSection(methods)].filter(Boolean);
}

function costSection(methods) {
  const reference = methods.find((m) => isNumber(m.seconds_per_step));
  const relative = (m, key) => (reference && isNumber(m[key]) ? `${d3.format(".2f")(m[key] / reference[key])} ×` : "");
  const columns = [
    ["experts × rank", (m) => `${m.experts} × ${m.rank}`],
    ["trained parameters", (m) => d3.format(",")(m.trained_parameters)],
    ["difference", (m) => d3.format("+.1%")(m.difference)],
    ["learning rate", (m) => (isNumber(m.learning_rate) ? d3.format("~g")(m.learning_rate) : "–")],
    ["seconds per step", (m) => format.number(m.seconds_per_step), (m) => relative(m, "seconds_per_step")],
    ["tokens per second", (m) => format.number(m.tokens_per_second)],
    ["peak memory, GB", (m) => (isNumber(m.peak_memory_bytes) ? d3.format(".2f")(m.peak_memory_bytes / 1e9) : "–"),
      (m) => relative(m, "peak_memory_bytes")],
  ];
  const head = el("tr", {}, el("th", {}, "method"), columns.map(([title]) => el("th", { class: "number" }, title)));
  const body = methods.map((m) => el("tr", {}, el("td", {}, m.method), columns.map(([, text, note]) =>
    el("td", { class: "number" }, text(m), note && note(m) ? el("span", { class: "interval" }, note(m)) : null))));
  return section("cost", "Size and cost",
    reference ? `Measured while training, each run in a process of its own; × is relative to ${reference.method}.` : "",
    el("div", { class: "card scroll" }, el("table", {}, el("thead", {}, head), el("tbody", {}, body))));
}

function ratesSection(methods, colors, chosenBy) {
  const means = methods.flatMap((m) => m.curve.filter((c) => isNumber(c.value)).map((c) => ({ method: m.method, lr: c.lr, value: c.value,
    chosen: c.lr === m.learning_rate })));
  const seeds = methods.flatMap((m) => m.curve.flatMap((c) => c.seeds.filter((s) => isNumber(s.value)).map((s) => ({
    method: m.method, lr: c.lr, seed: s.seed, value: s.value }))));
  if (!seeds.length) return null;
  const names = methods.map((m) => m.method);
  const rates = Array.from(new Set(seeds.map((s) => s.lr))).sort(d3.ascending);
  const draw = chart((width) => plot(width, {
    height: 320,
    x: { type: "log", label: "learning rate", ticks: rates, tickFormat: (v) => d3.format("~g")(v) },
    y: { label: chosenBy, nice: true, zero: false },
    color: { domain: names, range: colors },
    marks: [
      quietGrid(),
      Plot.lineY(means, { x: "lr", y: "value", stroke: "method", strokeWidth: 2 }),
      Plot.dot(seeds, { x: "lr", y: "value", fill: "method", r: 3, fillOpacity: 0.55, tip: true,
                        title: (s) => `${s.method}, lr ${d3.format("~g")(s.lr)}, seed ${s.seed}\n${chosenBy} ${format.number(s.value)}` }),
      Plot.dot(means.filter((m) => m.chosen), { x: "lr", y: "value", stroke: "method", strokeWidth: 2.2, r: 7 }),
    ],
  }), "learning rates");
  return section("rates", "Learning rates", "Lines are means over the seeds, points are runs; the ring marks the rate that was chosen.",
    card("", "", legend(names.map((n, i) => [n, colors[i]]), "line"), draw.container));
}

function routingSection(methods) {
  const routed = methods.filter((m) => m.router && isList(m.router.usage) && isList(m.router.usage[0].weights));
  if (!routed.length) return null;
  return section("routing", "Who routes where",
    "Mean routing weight of each expert in each layer, on the tokens of one task, for the first seed of the chosen rate.",
    routed.map((m) => {
      const sites = sitesOf(m.router, m.router.usage[0].weights);
      return el("div", { style: { "margin-top": "18px" } }, el("h3", {}, m.method), usageMaps(m.router.usage, sites, "", m.router));
    }));
}
