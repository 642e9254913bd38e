"use strict";
// Building blocks of the page. Elements get text nodes only: models wrote some of the texts, and none may become markup.

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null) continue;
    if (name === "style") Object.entries(value).forEach(([k, v]) => node.style.setProperty(k, v));
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== undefined && child !== null));
  return node;
}

function themeColor(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const isList = (value) => Array.isArray(value) && value.length > 0;

const format = {
  number(value) {
    if (!isNumber(value)) return "–";
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-3 || size >= 1e7)) return d3.format(".2~e")(value);
    return size >= 1000 ? d3.format(",.0f")(value) : d3.format(".4~r")(value);
  },
  percent: (value) => (isNumber(value) ? d3.format(".1f")(100 * value) + " %" : "–"),
  points: (value) => (isNumber(value) ? d3.format("+.1f")(100 * value).replace("-", "−") : ""),
};

const EXPERT_COLORS = ["#4269d0", "#efb118", "#ff725c", "#3ca951", "#a463f2", "#38b2b2", "#ff8ab7", "#9c6b4e", "#97bbf5", "#9498a0"];

function expertColors(count) {
  if (count <= EXPERT_COLORS.length) return EXPERT_COLORS.slice(0, count);
  return d3.range(count).map((i) => d3.hcl((360 * i * 0.618034) % 360, 62, i % 2 ? 52 : 68).formatHex());
}

function expertName(router, expert) {
  if (typeof expert === "string") return expert;
  const name = router.expert_names && router.expert_names[expert];
  return name || `expert ${expert}`;
}

function legend(entries, shape = "") {
  return el("div", { class: "legend" }, entries.map(([label, color]) =>
    el("span", { class: "key" }, el("span", { class: `swatch ${shape}`, style: { background: color } }), label)));
}

function section(id, title, explanation, ...content) {
  return el("section", { id },
    el("div", { class: "head" }, el("div", {}, el("h2", {}, title), explanation ? el("p", {}, explanation) : null)),
    ...content);
}

function card(title, hint, ...content) {
  return el("div", { class: "card" }, title ? el("h3", {}, title) : null, hint ? el("p", { class: "hint" }, hint) : null, ...content);
}

function choice(label, options, onchange) {
  const select = el("select", { onchange: () => onchange(select.value), "aria-label": label },
    options.map(([value, text]) => el("option", { value }, text)));
  return el("label", { class: "controls" }, label, select);
}
