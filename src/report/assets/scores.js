"use strict";
// Scores with intervals, and what switching experts off does to them.

const isShare = (rows) => rows.every((r) => r.score >= 0 && r.score <= 1);

function variantColors(variants) {
  const known = { base: "var(--ink-3)", lora: "#efb118", "l-moe": "var(--accent)" };
  const spare = ["#3ca951", "#a463f2", "#ff725c", "#38b2b2"];
  return variants.map((v) => known[String(v).toLowerCase()] || spare.shift() || "var(--ink-2)");
}

function provenance(rows) {
  const known = rows.filter((r) => typeof r.training_data === "boolean");
  const seen = Array.from(new Set(known.filter((r) => r.training_data).map((r) => r.task)));
  if (!known.length) return "";
  if (!seen.length) return "On held-out records. ";
  const held = known.some((r) => !seen.includes(r.task));
  return held ? `On held-out records, but ${seen.join(", ")} on records of the training data. ` : "On records of the training data, not held out. ";
}

function scoresSection(scores) {
  const rows = (scores || []).filter((r) => isNumber(r.score)).map((r) => ({ ...r, variant: r.variant || "model" }));
  if (!rows.length) return null;
  const shares = rows.filter((r) => isShare(rows.filter((o) => o.metric === r.metric)));
  const groups = [];
  if (shares.length) groups.push(["", shares]);
  for (const [metric, members] of d3.group(rows.filter((r) => !shares.includes(r)), (r) => r.metric)) groups.push([metric, members]);
  const hasIntervals = rows.some((r) => isNumber(r.ci_low));
  return section("scores", "Scores", provenance(rows) + (hasIntervals ? "The whiskers are confidence intervals." : ""),
    groups.map(([metric, members]) => scoreCard(metric, members)), scoreTable(rows));
}

function scoreCard(metric, rows) {
  const variants = Array.from(new Set(rows.map((r) => r.variant)));
  const tasks = Array.from(new Set(rows.map((r) => r.task)));
  const colors = variantColors(variants);
  const share = isShare(rows);
  const top = d3.max(rows, (r) => (isNumber(r.ci_high) ? r.ci_high : r.score)) || 1;
  const whiskers = rows.filter((r) => isNumber(r.ci_low) && isNumber(r.ci_high));
  const label = (r) => (share ? d3.format(".0f")(100 * r.score) : format.number(r.score));
  const draw = chart((available) => {
    const bars = tasks.length * variants.length;
    const width = Math.min(Math.max(available, bars * 24 + 60), bars * 96 + 120);
    const cap = Math.max(2, (0.33 * (width - 70)) / bars - 5);  // leaves whiskers about 10 pixels wide
    return plot(width, {
    height: 300,
    marginTop: 26,
    x: { axis: null, domain: variants, padding: 0.12 },
    fx: { label: null, domain: tasks, padding: 0.22 },
    y: { label: share ? "score in %" : metric, domain: [0, share ? Math.min(1, top * 1.12) : top * 1.12], tickFormat: share ? (v) => d3.format(".0f")(100 * v) : undefined },
    color: { domain: variants, range: colors },
    marks: [
      quietGrid(),
      Plot.barY(rows, { fx: "task", x: "variant", y: "score", fill: "variant", rx: 2, tip: { format: { fx: false, x: false, y: false, fill: false } },
                        title: (r) => scoreTip(r, share) }),
      Plot.ruleX(whiskers, { fx: "task", x: "variant", y1: "ci_low", y2: "ci_high", stroke: "var(--ink)", strokeWidth: 1.3, strokeOpacity: 0.75 }),
      Plot.tickY(whiskers, { fx: "task", x: "variant", y: "ci_low", stroke: "var(--ink)", strokeOpacity: 0.75, insetLeft: cap, insetRight: cap }),
      Plot.tickY(whiskers, { fx: "task", x: "variant", y: "ci_high", stroke: "var(--ink)", strokeOpacity: 0.75, insetLeft: cap, insetRight: cap }),
      Plot.text(rows, { fx: "task", x: "variant", y: (r) => (isNumber(r.ci_high) ? r.ci_high : r.score), text: label, dy: -8, fill: "var(--ink)", fontWeight: 600 }),
      Plot.ruleY([0], { stroke: "var(--ink-3)" }),
    ],
    });
  }, "scores by task");
  return card(metric, "", variants.length > 1 ? legend(variants.map((v, i) => [v, colors[i]])) : null, draw.container);
}

function scoreTip(r, share) {
  const text = share ? format.percent : format.number;
  const lines = [`${r.task}, ${r.variant}`, `${r.metric || "score"} ${text(r.score)}`];
  if (isNumber(r.ci_low)) lines.push(`interval ${text(r.ci_low)} to ${text(r.ci_high)}`);
  if (isNumber(r.n)) lines.push(`${r.n} records${r.source ? ` of ${r.source}` : ""}`);
  return lines.join("\n");
}

function scoreTable(rows) {
  const variants = Array.from(new Set(rows.map((r) => r.variant)));
  const body = Array.from(d3.group(rows, (r) => `${r.task}\n${r.metric}`).values(), (group) => {
    const share = isShare(rows.filter((r) => r.metric === group[0].metric));
    const text = share ? (v) => d3.format(".1f")(100 * v) : format.number;
    const lowerIsBetter = /perplexity|loss/.test(group[0].metric || "");
    const best = (lowerIsBetter ? d3.min : d3.max)(group, (r) => r.score);
    return el("tr", {}, el("td", {}, group[0].task), el("td", {}, group[0].metric || ""),
      el("td", { class: "number" }, isNumber(group[0].n) ? String(group[0].n) : ""),
      variants.map((variant) => {
        const r = group.find((g) => g.variant === variant);
        if (!r) return el("td", { class: "number" }, "–");
        return el("td", { class: "number" + (variants.length > 1 && r.score === best ? " best" : "") },
          el("span", { class: "score" }, text(r.score)),
          isNumber(r.ci_low) ? el("span", { class: "interval" }, `${text(r.ci_low)}–${text(r.ci_high)}`) : null);
      }));
  });
  const head = el("tr", {}, el("th", {}, "task"), el("th", {}, "metric"), el("th", { class: "number" }, "n"),
    variants.map((v) => el("th", { class: "number" }, v)));
  return el("div", { class: "grid" }, el("div", { class: "card scroll" }, el("table", {}, el("thead", {}, head), el("tbody", {}, body))));
}

function ablationSection(ablation, router) {
  const rows = (ablation || []).filter((r) => isNumber(r.change));
  if (!rows.length) return null;
  const tasks = Array.from(new Set(rows.map((r) => r.task)));
  const experts = d3.sort(new Set(rows.map((r) => r.expert)));
  const reach = d3.max(rows, (r) => Math.abs(r.change)) || 1;
  const draw = chart((width) => {
    const color = d3.piecewise(d3.interpolateLab, [themeColor("--warm"), themeColor("--raised"), themeColor("--good")]);
    const scale = (value) => color((value / reach + 1) / 2);
    return plot(Math.max(width, experts.length * 54 + 140), {
      height: tasks.length * 34 + 60,
      marginLeft: 130,
      x: { type: "band", domain: experts, label: "expert switched off", padding: 0.05, tickSize: 0, tickFormat: (e) => expertName(router, e) },
      y: { type: "band", domain: tasks, label: null, padding: 0.08, tickSize: 0 },
      marks: [
        Plot.cell(rows, { x: "expert", y: "task", fill: (r) => scale(r.change), rx: 4 }),
        Plot.text(rows, { x: "expert", y: "task", text: (r) => format.points(r.change), fontWeight: 600,
                          fill: (r) => (d3.lab(scale(r.change)).l > 58 ? "#16181d" : "#ffffff") }),
      ],
    });
  }, "change of each task's score without each expert");
  return section("ablation", "Switching experts off", "Change of the score, in percentage points, when one expert is removed: a drop shows what the task needs.",
    card("", "", draw.container));
}
