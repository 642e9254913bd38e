"use strict";
// Puts the page together.

function header(data) {
  const toggle = el("button", { type: "button", title: "switch between light and dark", onclick: () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    drawAll();
  } }, "light / dark");
  return el("header", {},
    el("div", { class: "top" },
      el("div", {}, el("div", { class: "kicker" }, "lmoe report"), el("h1", {}, data.title || "lmoe report"),
        data.subtitle ? el("p", { class: "subtitle" }, data.subtitle) : null), toggle),
    isList(data.facts) ? el("div", { class: "facts" }, data.facts.map((fact) => el("div", { class: "fact" },
      el("div", { class: "label" }, String(fact.label)), el("div", { class: "value" }, String(fact.value)),
      fact.note ? el("div", { class: "note" }, String(fact.note)) : null))) : null);
}

function recipeSection(recipe) {
  if (!recipe) return null;
  return section("recipe", "Recipe", "The effective recipe, every field: what to give to lmoe train for the same run.",
    el("div", { class: "card" }, el("details", { class: "recipe" }, el("summary", {}, "show"), el("pre", {}, recipe))));
}

function buildPage(data) {
  const log = isList(data.log) ? data.log : [];
  const router = data.router || {};
  const sections = [
    scoresSection(data.scores),
    ...comparisonSections(data.comparison),
    trainingSection(log),
    ...routerSections(router, log),
    promptsSection(data.prompts),
    ablationSection(data.ablation, router),
    samplesSection(data.samples, router),
    recipeSection(data.recipe),
  ].filter(Boolean);
  const links = sections.map((s) => el("a", { href: `#${s.id}` }, s.querySelector("h2").textContent));
  return [header(data), links.length > 1 ? el("nav", {}, links) : null, ...sections,
    sections.length ? null : el("section", {}, el("p", {}, "Nothing was recorded in this run.")),
    el("footer", {}, "Made by lmoe. Everything on this page is inside this file. Plots: d3 and Observable Plot.")].filter(Boolean);
}

function showError(message) {
  document.getElementById("page").prepend(el("div", { class: "page-error" }, `This page has a fault: ${message}`));
}

window.addEventListener("error", (event) => showError(event.message));

function start() {
  const data = JSON.parse(document.getElementById("data").textContent);
  document.getElementById("page").replaceChildren(...buildPage(data));
  queueMicrotask(drawAll);
  let waiting = 0;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 120);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
}

start();
