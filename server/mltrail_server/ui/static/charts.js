"use strict";
// Draws the curves of each `figure[data-curves]` when it comes into view. The page is complete without this.
// The address gives `{curves: [{run, x, y, logged, nans, sampled}]}`; see ui/charts.py.

const COLOURS = ["#428fdc", "#c95d2e", "#2da160", "#9475db", "#cf4d81", "#0090b1", "#ab6100", "#747273"];

// An exponential moving average that begins unbiased, as TensorBoard's slider has it.
function smoothed(values, weight) {
  let last = 0;
  let debias = 0;
  return values.map((value) => {
    if (value == null) return value;
    last = last * weight + (1 - weight) * value;
    debias = debias * weight + (1 - weight);
    return last / debias;
  });
}

function tables(curves, relative) {
  return curves.map((curve) => {
    const start = relative ? curve.x[0] : 0;
    // Several values at one place would hide each other: the later ones move by next to nothing.
    const x = [];
    for (const place of curve.x) {
      const at = relative ? (place - start) / 1000 : place;
      x.push(x.length && at <= x[x.length - 1] ? x[x.length - 1] + 1e-6 : at);
    }
    return [x, curve.y];
  });
}

function caption(curves) {
  const sampled = curves.filter((curve) => curve.sampled);
  const nans = curves.reduce((sum, curve) => sum + curve.nans, 0);
  const parts = [];
  if (sampled.length) {
    const logged = sampled.reduce((sum, curve) => sum + curve.logged, 0);
    parts.push(`Of ${logged.toLocaleString("en")} values the lowest and highest of each part are drawn, so no spike is lost.`);
  }
  if (nans) parts.push(`${nans} NaN not shown.`);
  return parts.join(" ");
}

function draw(figure, curves, options) {
  const holder = figure.querySelector(".plot");
  holder.replaceChildren();
  const shown = curves.filter((curve) => curve.x.length);
  if (!shown.length) {
    holder.textContent = "No values to draw.";
    return null;
  }
  const names = JSON.parse(figure.dataset.names || "{}");
  const style = getComputedStyle(document.documentElement);
  const text = style.getPropertyValue("--soft").trim() || "#747273";
  const lines = style.getPropertyValue("--faint").trim() || "#dcdbd9";
  const data = uPlot.join(tables(shown, options.axis === "time"));
  const series = [{ label: options.axis === "time" ? "seconds" : "step" }];
  shown.forEach((curve, number) => {
    const place = curves.indexOf(curve);
    data[number + 1] = smoothed(data[number + 1], options.smoothing);
    series.push({
      label: names[curve.run] || figure.dataset.key,
      stroke: COLOURS[place % COLOURS.length],
      width: 1.5,
      spanGaps: true,
      points: { show: curve.x.length < 30 },
    });
  });
  const axis = { stroke: text, grid: { stroke: lines, width: 1 }, ticks: { stroke: lines, width: 1 } };
  const size = (chart, values) => 14 + 7 * Math.max(3, ...(values || []).map((value) => (value || "").length));
  const width = holder.clientWidth;
  return new uPlot(
    {
      width,
      height: Math.max(180, Math.min(420, width * (figure.matches("[data-controls]") ? 0.4 : 0.5))),
      scales: { x: { time: false }, y: { distr: options.log ? 3 : 1 } },
      series,
      axes: [axis, { ...axis, size }],
      legend: { show: shown.length > 1 || figure.matches("[data-controls]") },
      cursor: { drag: { x: true, y: true, uni: 20 } },
    },
    data,
    holder,
  );
}

function control(label, input) {
  const element = document.createElement("label");
  element.append(label + " ", input);
  return element;
}

// One bar for all charts of a group: it tells each of them what has changed.
function controls(group) {
  const tell = (changes) => group.dispatchEvent(new CustomEvent("options", { detail: changes }));
  const bar = document.createElement("div");
  bar.className = "bar";
  const axis = document.createElement("select");
  axis.append(new Option("step", "step"), new Option("time", "time"));
  axis.addEventListener("change", () => tell({ axis: axis.value }));
  const log = document.createElement("input");
  log.type = "checkbox";
  log.addEventListener("change", () => tell({ log: log.checked }));
  const smoothing = document.createElement("input");
  smoothing.type = "range";
  smoothing.min = "0";
  smoothing.max = "0.99";
  smoothing.step = "0.01";
  smoothing.value = "0";
  smoothing.addEventListener("input", () => tell({ smoothing: Number(smoothing.value) }));
  bar.append(control("Axis", axis), control("Logarithmic", log), control("Smoothing", smoothing));
  (group.querySelector(":scope > .plot") || group).before(bar);
}

function load(figure) {
  const options = { axis: "step", log: false, smoothing: 0 };
  const note = document.createElement("p");
  note.className = "hint";
  figure.append(note);
  let curves = [];
  let chart = null;

  function redraw(changes) {
    Object.assign(options, changes);
    if (chart) chart.destroy();
    const wanted = options.log && curves.some((curve) => curve.y.some((value) => value <= 0));
    chart = draw(figure, curves, { ...options, log: options.log && !wanted });
    note.textContent = caption(curves) + (wanted ? " A logarithmic axis needs values above zero." : "");
  }

  async function reload(changes) {
    Object.assign(options, changes);
    try {
      const answer = await fetch(`${figure.dataset.curves}&axis=${options.axis}`, { credentials: "same-origin" });
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      curves = (await answer.json()).curves;
      redraw({});
    } catch (error) {
      note.textContent = `The chart could not be loaded: ${error.message}. Load the page again.`;
    }
  }

  const group = figure.closest("[data-controls]");
  if (group) {
    const { axis, log, smooth } = group.dataset;
    Object.assign(options, { axis: axis || "step", log: log === "1", smoothing: Number(smooth || 0) }, group.options);
    group.addEventListener("options", ({ detail }) => ("axis" in detail ? reload(detail) : redraw(detail)));
  }
  let width = 0;
  new ResizeObserver(() => {
    const now = figure.querySelector(".plot").clientWidth;
    if (chart && Math.abs(now - width) > 4) redraw({});
    width = now;
  }).observe(figure);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw({}));
  reload({});
}

for (const group of document.querySelectorAll("[data-controls]")) {
  group.options = {};
  group.addEventListener("options", ({ detail }) => Object.assign(group.options, detail));
  if (!("charts" in group.dataset)) controls(group);
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    seen.unobserve(entry.target);
    load(entry.target);
  }
}, { rootMargin: "200px" });
for (const figure of document.querySelectorAll("figure[data-curves]")) seen.observe(figure);
