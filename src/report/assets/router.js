"use strict";
// What the gates do: entropy and load over steps, and which experts each task uses, layer by layer.

/** Layer (first number of the name) and part (last word behind it) of each gate. */
function parseSites(names, count) {
  return d3.range(count).map((i) => {
    const name = (names && names[i]) || `layer ${i}`;
    const number = name.match(/\d+/);
    const rest = number ? name.slice(number.index + number[0].length).split(/[.\s/]+/).filter(Boolean) : [];
    return { layer: number ? Number(number[0]) : i, part: rest.length ? rest.at(-1) : "" };
  });
}

/** Means over the gates of each layer: rows [layer][…] for values [site][…] or [site]. */
function byLayer(values, sites, part) {
  const groups = d3.group(d3.range(Math.min(values.length, sites.length)).filter((i) => !part || sites[i].part === part),
    (i) => sites[i].layer);
  const rows = Array.from(groups, ([layer, members]) => ({
    layer,
    value: Array.isArray(values[members[0]])
      ? values[members[0]].map((_, e) => d3.mean(members, (i) => values[i][e]))
      : d3.mean(members, (i) => values[i]),
  }));
  return d3.sort(rows, (row) => row.layer);
}

const imbalance = (load) => {
  const mean = d3.mean(load);
  return mean > 0 ? d3.max(load) / mean : NaN;
};

/** The sites of a list with one entry per gate; the log may be coarser than the names are. */
function sitesOf(router, rows) {
  return parseSites(isList(router.sites) && router.sites.length === rows.length ? router.sites : null, rows.length);
}

/** Spans of steps, at most `limit`, each with the mean of what `value(entry)` returns per layer. */
function spans(entries, limit, value) {
  const size = Math.ceil(entries.length / limit);
  const cells = [];
  for (let begin = 0; begin < entries.length; begin += size) {
    const members = entries.slice(begin, begin + size);
    const next = entries[begin + size];
    const last = members.at(-1).step;
    const x1 = members[0].step;
    const x2 = next ? next.step : last + (begin > 0 || members.length > 1 ? (last - entries[0].step) / Math.max(1, entries.length - 1) : 1);
    const rows = members.map(value);
    rows[0].forEach((row, i) => cells.push({ x1, x2, layer: row.layer, value: d3.mean(rows, (r) => r[i] && r[i].value) }));
  }
  return cells;
}

const mapHeight = (layers) => Math.max(150, Math.min(320, layers * 9 + 50));

function layerMap(cells, domain, label, tip) {
  return chart((width) => {
    const layers = Array.from(new Set(cells.map((c) => c.layer)));
    return plot(width, {
      height: mapHeight(layers.length),
      marginTop: 10,
      x: { label: "step" },
      y: { label: "layer", type: "band", domain: layers, padding: 0, tickSize: 0,
           tickFormat: (l) => (layers.length <= 12 || l % 5 === 0 ? String(l) : "") },
      color: { type: "linear", domain, interpolate: heatColor(), clamp: true },
      marks: [Plot.rect(cells, { x1: "x1", x2: "x2", y: "layer", fill: "value", shapeRendering: "crispEdges", tip: { format: { x: false, y: false } },
                                 title: (c) => `step ${c.x1}, layer ${c.layer}\n${tip(c.value)}` })],
    });
  }, label).container;
}

function entropyCards(entries, sites, part, experts) {
  if (!entries.length) return [];
  const top = experts > 1 ? Math.log(experts) : d3.max(entries, (e) => d3.max(e.gate_entropy));
  const value = (e) => byLayer(e.gate_entropy, sites, part);
  const band = entries.map((e) => {
    const rows = value(e).map((r) => r.value);
    return { step: e.step, mean: d3.mean(rows), low: d3.min(rows), high: d3.max(rows) };
  });
  const layers = new Set(sites.map((s) => s.layer)).size;
  const lines = chart((width) => plot(width, {
    height: mapHeight(layers),
    x: { label: "step" },
    y: { label: "nats", ticks: 6, domain: [0, top * 1.1] },
    marks: [
      quietGrid(),
      Plot.areaY(band, { x: "step", y1: "low", y2: "high", fill: "var(--accent)", fillOpacity: 0.14 }),
      Plot.lineY(band, { x: "step", y: "mean", stroke: "var(--accent)", strokeWidth: 2.2 }),
      experts > 1 ? Plot.ruleY([top], { stroke: "var(--ink-3)", strokeDasharray: "4 4" }) : null,
      experts > 1 ? Plot.text([top], { y: (d) => d, text: ["all experts equal: ln " + experts], frameAnchor: "right", dy: -8, dx: -4, fill: "var(--ink-2)" }) : null,
      Plot.tip(band, Plot.pointerX({ x: "step", y: "mean",
        title: (d) => `step ${d.step}\nmean ${format.number(d.mean)}\nlayers ${format.number(d.low)} to ${format.number(d.high)}` })),
    ],
  }), "gate entropy over steps");
  const cards = [card("Gate entropy", "mean over layers, and the range of the layers", lines.container)];
  if (entries.length > 1 && layers > 1) {
    const cells = spans(entries, 90, value);
    const low = Math.min(d3.min(cells, (c) => c.value), 0.98 * top);
    cards.push(card("Gate entropy by layer", "",
      el("div", { class: "legend" }, ramp(format.number(low), `${format.number(top)} nats`)),
      layerMap(cells, [low, top], "gate entropy by layer over steps", (v) => `entropy ${format.number(v)}`)));
  }
  return cards;
}

function loadCards(entries, sites, part, router, experts) {
  if (!entries.length) return [];
  const colors = expertColors(experts);
  const layers = byLayer(entries[0].load, sites, part).map((r) => r.layer);
  let chosen = "all";
  const area = chart((width) => {
    const points = entries.flatMap((e) => {
      const rows = byLayer(e.load, sites, part).filter((r) => chosen === "all" || String(r.layer) === chosen);
      const load = d3.range(experts).map((x) => d3.mean(rows, (r) => r.value[x]));
      const total = d3.sum(load) || 1;
      return load.map((value, expert) => ({ step: e.step, expert, value: value / total }));
    });
    return plot(width, {
      height: Math.max(170, mapHeight(layers.length) - 34),
      x: { label: "step" },
      y: { label: "share of load", domain: [0, 1], tickFormat: "%", ticks: 4 },
      color: { domain: d3.range(experts), range: colors },
      marks: [
        Plot.areaY(points, { x: "step", y: "value", fill: "expert", fillOpacity: 0.9, order: "expert", stroke: "var(--surface)", strokeWidth: 0.6,
                             title: (d) => expertName(router, d.expert) }),
        Plot.ruleX(points, Plot.pointerX({ x: "step", stroke: "var(--ink)", strokeOpacity: 0.5 })),
        Plot.tip(points.filter((d) => d.expert === 0), Plot.pointerX({ x: "step", y: () => 0.5, title: (d) => [`step ${d.step}`,
          ...points.filter((p) => p.step === d.step).map((p) => `${expertName(router, p.expert)}: ${format.percent(p.value)}`)].join("\n") })),
      ],
    });
  }, "share of load per expert over steps");
  const cards = [card("Load per expert", "",
    layers.length > 1 ? el("div", { style: { "margin-bottom": "8px" } },
      choice("of", [["all", "all layers"], ...layers.map((l) => [String(l), `layer ${l}`])],
        (value) => { chosen = value; area.redraw(); })) : null,
    legend(colors.map((c, i) => [expertName(router, i), c])),
    area.container)];
  const cells = spans(entries, 90, (e) => byLayer(e.load, sites, part).map((r) => ({ layer: r.layer, value: imbalance(r.value) })));
  if (entries.length > 1 && layers.length > 1) {
    const top = Math.max(1.5, d3.quantile(cells, 0.98, (c) => c.value));
    cards.push(card("Load imbalance by layer", "load of the busiest expert over the mean; 1 is perfect balance",
      el("div", { class: "legend" }, ramp("1", format.number(top))),
      layerMap(cells, [1, top], "load imbalance by layer over steps", (v) => `busiest over mean ${format.number(v)}`)));
  }
  return cards;
}

function usageMaps(usage, sites, part, router) {
  const experts = d3.max(usage[0].weights, (w) => w.length);  // layers may have fewer
  const maps = usage.map((u) => ({ task: u.task, rows: byLayer(u.weights, sites, part) }));
  const values = maps.flatMap((m) => m.rows.flatMap((r) => r.value));
  const [low, top] = [d3.quantile(values, 0.005), d3.quantile(values, 0.995)];
  const layers = maps[0].rows.map((r) => r.layer);
  const cards = maps.map((map) => {
    const cells = map.rows.flatMap((r) => r.value.map((value, expert) => ({ layer: r.layer, expert, value })));
    const means = d3.range(experts).map((x) => ({ expert: x, value: d3.mean(map.rows, (r) => r.value[x]) }));
    const favourite = d3.greatest(means, (m) => m.value);
    const draw = chart((width) => plot(width, {
      height: Math.max(110, Math.min(380, layers.length * 9 + 46)),
      marginLeft: 46,
      marginTop: 8,
      x: { type: "band", domain: d3.range(experts), label: "expert", padding: 0.05, tickSize: 0 },
      y: { type: "band", domain: layers, label: "layer", padding: layers.length > 20 ? 0.06 : 0.08, tickSize: 0,
           tickFormat: (l) => (layers.length <= 12 || l % 5 === 0 ? String(l) : "") },
      color: { type: "linear", domain: [low, top], interpolate: heatColor(), clamp: true },
      marks: [Plot.cell(cells, { x: "expert", y: "layer", fill: "value", rx: 1.5, tip: true,
                                 title: (c) => `layer ${c.layer}, ${expertName(router, c.expert)}\nmean weight ${format.number(c.value)}` })],
    }), `routing weights of ${map.task}`);
    return card(map.task, `most: ${expertName(router, favourite.expert)}, ${format.percent(favourite.value)}`, draw.container);
  });
  return [el("div", { class: "legend" }, ramp(`weight ${format.number(low)}`, format.number(top)), `1/${experts} = ${format.number(1 / experts)} if all were equal`),
    el("div", { class: "grid", style: { "--column": "215px" } }, cards)];
}

function withPartChoice(sites, build) {
  const parts = Array.from(new Set(sites.map((s) => s.part))).filter(Boolean);
  const holder = el("div");
  const show = (part) => {
    holder.replaceChildren(...[build(part)].flat().filter(Boolean));
    drawAll();
  };
  queueMicrotask(() => show(""));
  if (parts.length < 2) return holder;
  return el("div", {}, el("div", { style: { "margin-bottom": "12px" } },
    choice("gates of", [["", "all projections, averaged"], ...parts.map((p) => [p, p])], show)), holder);
}

function routerSections(router, log) {
  const found = [];
  const loads = log.filter((e) => isList(e.load) && isList(e.load[0]));
  const entropies = log.filter((e) => isList(e.gate_entropy));
  if (loads.length || entropies.length) {
    const sites = sitesOf(router, loads.length ? loads[0].load : entropies[0].gate_entropy);
    const experts = loads.length ? loads[0].load[0].length : (router.expert_names || []).length;
    found.push(section("router", "Router over time", "How sure the gates are, and how evenly the experts are used.",
      withPartChoice(sites, (part) => el("div", { class: "grid", style: { "--column": "480px" } },
        entropyCards(entropies, sites, part, experts), loadCards(loads, sites, part, router, experts)))));
  }
  const usage = (router.usage || []).filter((u) => isList(u.weights) && isList(u.weights[0]));
  if (usage.length) {
    const sites = sitesOf(router, usage[0].weights);
    found.push(section("usage", "Experts by task",
      "Mean routing weight of each expert in each layer, on the tokens of one task. Columns that differ between tasks are specialists.",
      withPartChoice(sites, (part) => usageMaps(usage, sites, part, router))));
  }
  return found;
}
