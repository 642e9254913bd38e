"use strict";
// Which entries of a bank of prompts stand in front of the records of each task.

function promptsSection(prompts) {
  const usage = ((prompts && prompts.usage) || []).filter((u) => isList(u.share));
  if (!usage.length) return null;
  const entries = d3.max(usage, (u) => u.share.length);
  const tasks = usage.map((u) => u.task);
  const cells = usage.flatMap((u) => u.share.map((share, entry) => ({ task: u.task, entry, share, nearest: (u.nearest || [])[entry], records: u.records })));
  const top = d3.max(cells, (c) => c.share) || 1;
  const unused = d3.range(entries).filter((entry) => cells.every((c) => c.entry !== entry || c.share === 0));
  const draw = chart((width) => plot(width, {
    height: Math.max(110, tasks.length * 30 + 60),
    marginLeft: 96,
    marginTop: 8,
    x: { type: "band", domain: d3.range(entries), label: "entry of the bank", padding: 0.05, tickSize: 0,
         tickFormat: (e) => (entries <= 32 || e % 8 === 0 ? String(e) : "") },
    y: { type: "band", domain: tasks, label: null, padding: 0.08, tickSize: 0 },
    color: { type: "linear", domain: [0, top], interpolate: heatColor(), clamp: true },
    marks: [Plot.cell(cells, { x: "entry", y: "task", fill: "share", rx: 1.5, tip: true,
                               title: (c) => `entry ${c.entry}, ${c.task}\nin front of ${format.percent(c.share)} of ${c.records} records\nthe nearest of ${format.percent(c.nearest)}` })],
  }), "share of the records of each task with each prompt in front");
  return section("prompts", "Prompts by task",
    "How many of a task's records have an entry of the bank of prompts in front. Rows that differ are tasks with prompts of their own.",
    card("", unused.length ? `${unused.length} of ${entries} entries stand in front of none of these records` : "",
      el("div", { class: "legend" }, ramp("0 %", format.percent(top))), draw.container));
}
