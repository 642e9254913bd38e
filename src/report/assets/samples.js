"use strict";
// Generated texts, token by token, in the colour of the expert that had the largest weight.

function samplesSection(samples, router) {
  const shown = (samples || []).filter((s) => isList(s.tokens));
  if (!shown.length) return null;
  const used = d3.max(shown, (s) => d3.max(s.tokens, (t) => (isNumber(t.expert) ? t.expert : -1)));
  const count = Math.max(used + 1, isList(router.expert_names) ? router.expert_names.length : 0, d3.max(shown, (s) =>
    d3.max(s.tokens, (t) => (isList(t.weights) ? t.weights.length : 0))));
  const colors = expertColors(count);
  const list = el("div", { class: "samples" });
  const light = (expert) => {
    if (expert === null) list.removeAttribute("data-expert");
    else list.setAttribute("data-expert", expert);
    for (const token of list.querySelectorAll(".token")) token.classList.toggle("lit", token.dataset.expert === String(expert));
  };
  const keys = el("div", { class: "legend" }, colors.map((color, expert) =>
    el("span", { class: "key", "data-expert": expert, onmouseenter: () => light(expert), onmouseleave: () => light(null) },
      el("span", { class: "swatch", style: { background: color } }), expertName(router, expert))));
  list.append(...shown.map((sample) => sampleCard(sample, colors, router)));
  return section("samples", "Samples", count > 0
    ? "Each token in the colour of the expert with the largest weight; the fuller the colour, the larger its weight. Point at an expert to see its tokens alone."
    : "", count > 0 ? keys : null, list);
}

function sampleCard(sample, colors, router) {
  const output = sample.tokens.map((t) => t.text).join("").trim();
  const right = typeof sample.expected === "string" ? output === sample.expected.trim() : null;
  return el("div", { class: "card sample" },
    el("div", { class: "tags" }, sample.task ? el("span", { class: "tag" }, sample.task) : null,
      sample.variant ? el("span", { class: "tag plain" }, sample.variant) : null,
      right === null ? null : el("span", { class: `tag ${right ? "right" : "wrong"}` }, right ? "as expected" : "differs")),
    el("pre", { class: "prompt" }, sample.prompt || ""),
    el("pre", { class: "output" }, sample.tokens.map((token) => tokenSpan(token, colors, router))),
    right === false ? el("div", {}, el("div", { class: "what" }, "expected"), el("pre", {}, sample.expected)) : null);
}

function tokenSpan(token, colors, router) {
  if (!isNumber(token.expert) || !colors[token.expert]) return document.createTextNode(token.text);
  const weight = isNumber(token.weight) ? Math.max(0, Math.min(1, token.weight)) : 0.5;
  const color = colors[token.expert];
  const lines = isList(token.weights)
    ? d3.sort(d3.range(token.weights.length), (e) => -token.weights[e]).slice(0, 6).map((e) => `${expertName(router, e)}: ${d3.format(".2f")(token.weights[e])}`)
    : [`${expertName(router, token.expert)}` + (isNumber(token.weight) ? `: ${d3.format(".2f")(token.weight)}` : "")];
  const fill = Math.round(14 + 56 * weight);
  return el("span", { class: "token", "data-expert": token.expert, title: lines.join("\n"),
    style: { background: `color-mix(in srgb, ${color} ${fill}%, transparent)`, "border-color": color } }, token.text);
}
