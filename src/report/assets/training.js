"use strict";
// Loss, learning rate, throughput and gradient norm over steps.

function trainingSection(log) {
  if (!isList(log) || !log.some((e) => isNumber(e.loss) || isNumber(e.eval_loss))) return null;
  const train = log.filter((e) => isNumber(e.loss)).map((e) => ({ ...e }));
  smooth(train.map((e) => e.loss), Math.floor(train.length / 40)).forEach((value, i) => { train[i].smoothed = value; });
  const validation = log.filter((e) => isNumber(e.eval_loss));

  const keys = [];
  if (train.length) keys.push(["training, smoothed", "var(--accent)"]);
  if (validation.length) keys.push(["validation", "var(--warm)"]);
  const lossChart = chart((width) => plot(width, {
    height: 320,
    x: { label: "step" },
    y: { label: "loss", nice: true, zero: false },
    marks: [
      quietGrid(),
      Plot.lineY(train, { x: "step", y: "loss", stroke: "var(--accent)", strokeOpacity: 0.28, strokeWidth: 1 }),
      Plot.lineY(train, { x: "step", y: "smoothed", stroke: "var(--accent)", strokeWidth: 2.2 }),
      Plot.lineY(validation, { x: "step", y: "eval_loss", stroke: "var(--warm)", strokeWidth: 2 }),
      Plot.dot(validation, { x: "step", y: "eval_loss", fill: "var(--warm)", stroke: "var(--surface)", strokeWidth: 1.5, r: 4.5,
                             tip: true, title: (e) => `step ${e.step}\nvalidation loss ${format.number(e.eval_loss)}` }),
      Plot.tip(train, Plot.pointerX({ x: "step", y: "smoothed", title: (e) => lossTip(e) })),
    ],
  }), "training and validation loss over steps");

  const small = [
    ["lr", "Learning rate", "", (v) => d3.format(".1~e")(v)],
    ["tokens_per_second", "Throughput", "tokens per second", (v) => d3.format("~s")(v)],
    ["grad_norm", "Gradient norm", "before clipping", (v) => d3.format(".3~r")(v)],
  ].filter(([key]) => log.filter((e) => isNumber(e[key])).length > 1)
   .map(([key, title, hint, tickFormat]) => card(title, hint, seriesChart(log, key, title, tickFormat)))
   .concat(balanceCards(log));

  return section("training", "Training", lossSummary(train, validation),
    card("", "", keys.length > 1 ? legend(keys, "line") : null, lossChart.container),
    small.length ? el("div", { class: "grid" }, small) : null);
}

function lossTip(entry) {
  const lines = [`step ${entry.step}`, `loss ${format.number(entry.loss)}`, `smoothed ${format.number(entry.smoothed)}`];
  if (isNumber(entry.epoch)) lines.push(`epoch ${format.number(entry.epoch)}`);
  if (isNumber(entry.total_tokens)) lines.push(`${format.number(entry.total_tokens)} tokens`);
  return lines.join("\n");
}

function lossSummary(train, validation) {
  const parts = [];
  if (train.length > 1) {
    const last = train.slice(-Math.max(1, Math.floor(train.length / 20)));
    parts.push(`Training loss went from ${format.number(train[0].loss)} to ${format.number(d3.mean(last, (e) => e.loss))}`
      + (last.length > 1 ? ` (mean of the last ${last.length} points)` : "") + ` in ${format.number(train.at(-1).step)} steps.`);
  }
  if (validation.length > 1) {
    const best = d3.least(validation, (e) => e.eval_loss);
    parts.push(`Validation loss was best at step ${format.number(best.step)}: ${format.number(best.eval_loss)}.`);
  }
  return parts.join(" ");
}

// One card per balance loss, with a line where undecided gates of equal load would be.
function balanceCards(log) {
  const uniform = log.find((e) => e.balance_if_uniform)?.balance_if_uniform ?? {};
  const names = Array.from(new Set(log.flatMap((e) => Object.keys(e.balance ?? {}))));
  return names.map((name) => {
    const series = log.map((e) => ({ step: e.step, value: e.balance?.[name] }));
    if (series.filter((e) => isNumber(e.value)).length < 2) return null;
    const hint = isNumber(uniform[name]) ? `dashed: ${format.number(uniform[name])}, undecided gates and equal load` : "";
    const title = `Balance loss ${name}`;
    return card(title, hint, seriesChart(series, "value", title, (v) => d3.format(".3~r")(v), uniform[name]));
  }).filter(Boolean);
}

function seriesChart(log, key, title, tickFormat, reference) {
  const points = log.filter((e) => isNumber(e[key]));
  return chart((width) => plot(width, {
    height: 170,
    x: { label: "step", ticks: 4 },
    y: { label: null, ticks: 4, tickFormat, zero: true },
    marks: [
      quietGrid({ ticks: 4 }),
      Plot.areaY(points, { x: "step", y: key, fill: "var(--accent)", fillOpacity: 0.1 }),
      isNumber(reference) ? Plot.ruleY([reference], { stroke: "var(--warm)", strokeDasharray: "4,3" }) : null,
      Plot.lineY(points, { x: "step", y: key, stroke: "var(--accent)", strokeWidth: 1.8 }),
      Plot.tip(points, Plot.pointerX({ x: "step", y: key, title: (e) => `step ${e.step}\n${format.number(e[key])}` })),
    ],
  }), `${title} over steps`).container;
}
