"use strict";
// Choosing runs on the axes of parallel coordinates, by mouse, touch and keyboard. What is chosen is in the form below
// them, whose fields name it in the address.
(() => {
  const area = document.querySelector("[data-brush]");
  const form = document.getElementById("brush");
  if (!area || !form) return;
  const svg = area.querySelector("svg");
  const SVG = "http://www.w3.org/2000/svg";
  const lines = [...svg.querySelectorAll(".lines polyline")].map((line) => ({
    line,
    run: line.dataset.run,
    heights: line.getAttribute("points").split(" ").map((point) => Number(point.split(",")[1])),
  }));
  const [top, bottom] = /V/.test(svg.querySelector(".axis path").getAttribute("d"))
    ? svg.querySelector(".axis path").getAttribute("d").slice(1).split(/[ V]/).slice(1).map(Number)
    : [0, 0];
  const STEPS = 20;
  let asked = 0;
  let waiting = 0;

  function element(name, attributes) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  const field = (prefix, key) => form.elements.namedItem(prefix + key);

  const axes = [...svg.querySelectorAll(".axis")].map((group, place) => {
    const words = [...group.querySelectorAll("[data-word]")].map((mark) => [mark.dataset.word, Number(mark.dataset.up)]);
    const { key, low, high, log } = group.dataset;
    const numeric = low !== undefined;
    const ends = numeric ? [Number(low), Number(high)] : null;
    const scale = log ? Math.log : (value) => value;
    const back = log ? Math.exp : (value) => value;
    return {
      place,
      key,
      label: group.querySelector(".label title").textContent,
      x: Number(group.dataset.x),
      words,
      numeric,
      range: null,
      heightOf(value) {
        const [from, to] = ends.map(scale);
        const inside = Math.min(Math.max(scale(Math.min(Math.max(value, ends[0]), ends[1])), from), to);
        return to > from ? bottom - ((inside / 2 - from / 2) / (to / 2 - from / 2)) * (bottom - top) : (top + bottom) / 2;
      },
      valueAt(height) {
        const share = (bottom - height) / (bottom - top);
        const [from, to] = ends.map(scale);
        return back(from * (1 - share) + to * share);
      },
    };
  });

  // What the form says, as heights.
  function read() {
    for (const axis of axes) {
      if (axis.numeric) {
        const low = field("low:", axis.key).value.trim();
        const high = field("high:", axis.key).value.trim();
        const from = low === "" || Number.isNaN(Number(low)) ? bottom : axis.heightOf(Number(low));
        const to = high === "" || Number.isNaN(Number(high)) ? top : axis.heightOf(Number(high));
        axis.range = low === "" && high === "" ? null : [Math.min(from, to), Math.max(from, to)];
      } else {
        const chosen = new Set(new FormData(form).getAll("is:" + axis.key));
        const heights = axis.words.filter(([word]) => chosen.has(word)).map(([, up]) => up);
        axis.range = heights.length ? [Math.min(...heights) - 6, Math.max(...heights) + 6] : null;
      }
    }
  }

  // And the other way round.
  function write(axis) {
    if (axis.numeric) {
      const text = (height, end) => (Math.abs(height - end) < 0.5 ? "" : String(Number(axis.valueAt(height).toPrecision(4))));
      field("low:", axis.key).value = axis.range ? text(axis.range[1], bottom) : "";
      field("high:", axis.key).value = axis.range ? text(axis.range[0], top) : "";
    } else {
      for (const box of form.querySelectorAll("input[type=checkbox]")) {
        if (box.name !== "is:" + axis.key) continue;
        const mark = axis.words.find(([word]) => word === box.value);
        box.checked = Boolean(axis.range && mark && mark[1] >= axis.range[0] && mark[1] <= axis.range[1]);
      }
    }
  }

  const takes = (axis, height) => !axis.range || (height >= axis.range[0] - 0.5 && height <= axis.range[1] + 0.5);

  function draw() {
    for (const { line, heights } of lines) {
      line.classList.toggle("off", !axes.every((axis) => takes(axis, heights[axis.place])));
    }
    for (const axis of axes) {
      const [high, low] = axis.range || [top, bottom];
      axis.box.setAttribute("y", high);
      axis.box.setAttribute("height", Math.max(2, low - high));
      axis.box.toggleAttribute("hidden", !axis.range);
      for (const [handle, height] of [[axis.upper, high], [axis.lower, low]]) {
        handle.setAttribute("y", height - 4);
        handle.setAttribute("aria-valuenow", Math.round(((bottom - height) / (bottom - top)) * 100));
        handle.setAttribute("aria-valuetext", textAt(axis, height));
      }
    }
  }

  function textAt(axis, height) {
    if (axis.numeric) return String(Number(axis.valueAt(Math.min(Math.max(height, top), bottom)).toPrecision(4)));
    const near = axis.words.reduce((best, one) => (Math.abs(one[1] - height) < Math.abs(best[1] - height) ? one : best));
    return near[0];
  }

  function query() {
    return new URLSearchParams([...new FormData(form)].filter(([name, value]) => value !== "" || name === "c"));
  }

  // The list of runs comes from the server, since only some of them are drawn.
  async function list() {
    const address = "?" + query();
    history.replaceState(null, "", address);
    const number = ++asked;
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    if (!answer.ok || number !== asked) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("chosen-runs");
    if (fresh) document.getElementById("chosen-runs").replaceWith(fresh);
  }

  function changed(axis) {
    write(axis);
    draw();
    clearTimeout(waiting);
    waiting = setTimeout(list, 250);
  }

  function heightOf(event) {
    const box = svg.getBoundingClientRect();
    const height = ((event.clientY - box.top) / box.height) * svg.viewBox.baseVal.height;
    return Math.min(Math.max(height, top), bottom);
  }

  function drag(axis, target, begun) {
    target.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      event.preventDefault();
      target.setPointerCapture(event.pointerId);
      const fixed = begun(heightOf(event));
      const move = (moved) => {
        const height = heightOf(moved);
        axis.range = [Math.min(fixed, height), Math.max(fixed, height)];
        draw();
      };
      const end = () => {
        target.removeEventListener("pointermove", move);
        // A click on an axis clears it.
        if (axis.range && axis.range[1] - axis.range[0] < 3) axis.range = null;
        changed(axis);
      };
      target.addEventListener("pointermove", move);
      target.addEventListener("pointerup", end, { once: true });
      target.addEventListener("pointercancel", end, { once: true });
    });
  }

  function keys(axis, handle, end) {
    handle.addEventListener("keydown", (event) => {
      const step = (bottom - top) / STEPS;
      const range = [...(axis.range || [top, bottom])];
      const moves = { ArrowUp: -step, ArrowRight: -step, ArrowDown: step, ArrowLeft: step, PageUp: -4 * step, PageDown: 4 * step };
      if (event.key === "Escape") axis.range = null;
      else if (event.key in moves || event.key === "Home" || event.key === "End") {
        if (event.key === "Home") range[end] = bottom;
        else if (event.key === "End") range[end] = top;
        else range[end] = Math.min(Math.max(range[end] + moves[event.key], top), bottom);
        if (range[0] > range[1]) range[1 - end] = range[end];
        axis.range = range[0] <= top && range[1] >= bottom ? null : range;
      } else return;
      event.preventDefault();
      changed(axis);
    });
  }

  svg.querySelector(".brushes")?.remove();
  svg.setAttribute("role", "group");
  const layer = element("g", { class: "brushing" });
  for (const axis of axes) {
    const hit = element("rect", { class: "hit", x: axis.x - 14, y: top - 6, width: 28, height: bottom - top + 12 });
    axis.box = element("rect", { class: "brush", x: axis.x - 9, width: 18, y: top, height: bottom - top });
    const handle = (name) =>
      element("rect", {
        class: "handle", x: axis.x - 9, width: 18, height: 8, rx: 2, tabindex: 0, role: "slider", "aria-label": `${axis.label}, ${name}`,
        "aria-orientation": "vertical", "aria-valuemin": 0, "aria-valuemax": 100,
      });
    axis.upper = handle("upper limit");
    axis.lower = handle("lower limit");
    layer.append(hit, axis.box, axis.lower, axis.upper);
    drag(axis, hit, (height) => height);
    drag(axis, axis.box, (height) => height);
    drag(axis, axis.upper, () => (axis.range || [top, bottom])[1]);
    drag(axis, axis.lower, () => (axis.range || [top, bottom])[0]);
    keys(axis, axis.upper, 0);
    keys(axis, axis.lower, 1);
  }
  svg.append(layer);
  read();
  draw();
  for (const one of document.querySelectorAll(".scripted")) one.hidden = false;

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    read();
    draw();
    list();
  });

  // A line leads to its run.
  svg.addEventListener("click", (event) => {
    const line = event.target.closest("polyline");
    if (line) location.assign(area.dataset.runs + line.dataset.run);
  });
})();
