"use strict";
// Draws the charts of a page when they come into view, with uPlot. The page is complete without this.
//
// How they are drawn (axis, log, smooth, zoom) is the state of the whole page: it is read from `data-charts`, changed by
// the form of controls, by the mouse and by the keyboard, and written to the address. Values come from `curves`, see
// ui/charts.py. Other scripts hide a run by the event `mltrail:hide` ({iid, hidden}), colour it by `mltrail:colour`
// ({iid, colour, dash}), hear of a new state by `mltrail:charts`, and use `mltrail.charts`.
(() => {
  const groups = [...document.querySelectorAll("[data-charts]")];
  if (!groups.length || typeof uPlot === "undefined") return;

  const CURVES_A_REQUEST = 30;
  const KEYS_A_REQUEST = 12;
  const REQUESTS_AT_ONCE = 3;
  const MOST_DRAWN = 40; // more canvases than that are dropped when they are out of view
  const ROWS = 12;
  const LARGEST = 1e300; // beyond it the range of an axis would be infinite

  const charts = [];
  const state = readState(groups[0].dataset);

  function readState(data) {
    const ends = (data.zoom || "").split(",").map(Number);
    return {
      axis: data.axis || "step",
      log: data.log === "1",
      smooth: Number(data.smooth) || 0,
      zoom: ends.length === 2 && ends[0] < ends[1] ? ends : null,
    };
  }

  // ---- Numbers and times

  const MINUS = "\u2212";
  function number(value, digits = 5) {
    if (value == null) return "";
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-4 || size >= 1e7)) {
      return value.toExponential(Math.min(digits - 1, 3)).replace(/\.?0+e/, "e").replace("e+", "e").replaceAll("-", MINUS);
    }
    return Number(value.toPrecision(digits)).toLocaleString("en", { maximumFractionDigits: 8 }).replace("-", MINUS);
  }

  // The next of 1, 2, 3, 5, 7 times a power of ten, downwards or upwards: where a logarithmic axis ends.
  function rounded(value, direction) {
    const power = 10 ** Math.floor(Math.log10(value));
    const ends = [1, 2, 3, 5, 7, 10].map((one) => one * power);
    const end = direction === Math.floor ? ends.findLast((one) => one <= value * 1.0001) : ends.find((one) => one >= value * 0.9999);
    return end || value;
  }

  function duration(milliseconds) {
    const seconds = Math.abs(milliseconds) / 1000;
    const sign = milliseconds < 0 ? MINUS : "";
    if (seconds < 60) return `${sign}${Number(seconds.toPrecision(3))} s`;
    const minutes = Math.floor(seconds / 60);
    const rest = Math.round(seconds % 60);
    if (minutes < 60) return `${sign}${minutes} min${rest ? ` ${rest} s` : ""}`;
    const hours = Math.floor(minutes / 60);
    if (hours < 48) return `${sign}${hours} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
    return `${sign}${Math.floor(hours / 24)} d${hours % 24 ? ` ${hours % 24} h` : ""}`;
  }

  function place(axis, at) {
    if (axis === "time") return duration(at);
    if (axis === "wall") return new Date(at).toLocaleString();
    return `step ${Math.round(at).toLocaleString("en")}`;
  }

  // ---- What is fetched: a few requests, each with several charts

  const waiting = [];
  let running = 0;
  let timer = 0;

  // A request for the curves of one chart: all of them, a part (`from`, `to`), or what is new (`from`).
  function ask(chart, job) {
    waiting.push({ chart, axis: chart.axisAsked(), ...job });
    clearTimeout(timer);
    timer = setTimeout(send, 20);
  }

  function address(batch) {
    const { chart, axis, from, to } = batch[0];
    const query = new URLSearchParams({ run: chart.runs });
    for (const key of new Set(batch.flatMap((job) => job.chart.keys))) query.append("key", key);
    if (axis !== "step") query.set("axis", axis);
    if (from != null) query.set("from", Math.floor(from));
    if (to != null) query.set("to", Math.ceil(to));
    return `${chart.base}/curves?${String(query).replaceAll("%2C", ",")}`;
  }

  function nextBatch() {
    const [first] = waiting;
    const most = Math.max(1, Math.min(KEYS_A_REQUEST, Math.floor(CURVES_A_REQUEST / first.chart.lines.size)));
    const batch = [];
    let keys = 0;
    for (const job of [...waiting]) {
      const same = ["kind", "axis", "from", "to"].every((name) => job[name] === first[name]) && job.chart.runs === first.chart.runs;
      if (!same || (batch.length && keys + job.chart.keys.length > most)) continue;
      keys += job.chart.keys.length;
      batch.push(job);
      waiting.splice(waiting.indexOf(job), 1);
    }
    return batch;
  }

  function send() {
    while (waiting.length && running < REQUESTS_AT_ONCE) {
      running += 1;
      deliver(nextBatch()).finally(() => {
        running -= 1;
        send();
      });
    }
  }

  async function deliver(batch) {
    try {
      const answer = await fetch(address(batch), { credentials: "same-origin", headers: { Accept: "application/json" } });
      if (!answer.ok || answer.redirected) throw new Error(answer.redirected ? "you are signed out" : `the server answered ${answer.status}`);
      const found = new Map((await answer.json()).charts.map((chart) => [chart.key, chart]));
      for (const job of batch) job.chart.take(job, job.chart.keys.map((key) => found.get(key)).filter(Boolean));
    } catch (error) {
      for (const job of batch) job.chart.failed(job, error);
    }
  }

  // ---- Curves

  // The points of a curve, where a part that was fetched in detail takes the place of the coarser ones.
  function pieces(curve) {
    const detail = curve.detail;
    if (!detail || !detail.x.length) return [curve];
    const before = curve.x.findIndex((x) => x >= detail.from);
    const after = curve.x.findIndex((x) => x > detail.to);
    const cut = (from, to) => ({ ...curve, x: curve.x.slice(from, to), y: curve.y.slice(from, to), low: curve.low && curve.low.slice(from, to), high: curve.high && curve.high.slice(from, to) });
    return [cut(0, before < 0 ? curve.x.length : before), detail, cut(after < 0 ? curve.x.length : after, curve.x.length)];
  }

  // The last place of a curve; that of a sampled one is the middle of its last part.
  function end(curve) {
    return curve.end ?? (curve.x.length ? curve.x[curve.x.length - 1] : -Infinity);
  }

  function points(curve, axis, log) {
    const made = { x: [], y: [], low: [], high: [], part: [], sampled: false, dropped: 0 };
    const scale = axis === "step" ? 1 : 1000;
    const shown = (value) => {
      if (value == null || Math.abs(value) > LARGEST) return null;
      return log && value <= 0 ? null : value;
    };
    for (const piece of pieces(curve)) {
      if (piece.low && piece.x.length) made.sampled = true;
      piece.x.forEach((at, place) => {
        let x = at / scale;
        const last = made.x[made.x.length - 1];
        // Several values at one place would hide each other: the later ones move by next to nothing.
        if (x <= last) x = last + Math.max(1e-6, Math.abs(last) * 1e-15);
        const y = shown(piece.y[place]);
        if (y == null && piece.y[place] != null) made.dropped += 1;
        made.x.push(x);
        made.y.push(y);
        made.low.push(piece.low ? shown(piece.low[place]) : y);
        made.high.push(piece.high ? shown(piece.high[place]) : y);
        made.part.push(piece.part || 1);
      });
    }
    return made;
  }

  // An exponential moving average that begins unbiased, as TensorBoard's slider has it. A point of a sampled curve weighs
  // as much as the values that it stands for.
  function smoothed(made, weight) {
    let last = 0;
    let debias = 0;
    return made.y.map((value, place) => {
      if (value == null) return value;
      const kept = weight ** made.part[place];
      last = last * kept + (1 - kept) * value;
      debias = debias * kept + 1 - kept;
      return last / debias;
    });
  }

  // The point of a curve that is nearest to a place; none where the curve has ended.
  function nearest(made, x) {
    const { x: all } = made;
    let low = 0;
    let high = all.length - 1;
    if (high < 0) return -1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (all[middle] < x) low = middle + 1;
      else high = middle;
    }
    if (low > 0 && x - all[low - 1] < all[low] - x) low -= 1;
    const gap = all.length > 1 ? (all[all.length - 1] - all[0]) / (all.length - 1) : Infinity;
    return Math.abs(all[low] - x) <= Math.max(gap, 1e-9) || (x > all[0] && x < all[all.length - 1]) ? low : -1;
  }

  function swatch(line) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "swatch line");
    svg.setAttribute("viewBox", "0 0 18 10");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    const attributes = { d: "M0 5H18", stroke: line.colour, "stroke-width": 3, "stroke-dasharray": line.dash.join(" ") };
    for (const [name, value] of Object.entries(attributes)) if (value !== "") path.setAttribute(name, value);
    svg.append(path);
    return svg;
  }

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text != null) made.textContent = text;
    return made;
  }

  // ---- One chart

  class Chart {
    constructor(figure, group) {
      this.figure = figure;
      this.group = group;
      this.keys = JSON.parse(figure.dataset.keys);
      this.lines = group.lines;
      this.base = group.base;
      this.runs = [...group.lines.keys()].join(",");
      this.holder = figure.querySelector(".plot");
      this.holder.replaceChildren();
      this.note = figure.appendChild(element("p", "hint"));
      this.spoken = figure.appendChild(element("p", "sr"));
      this.spoken.setAttribute("aria-live", "polite");
      this.curves = null;
      this.plot = null;
      this.visible = false;
      this.stale = false;
      this.dirty = false;
      this.held = false;
      this.width = 0;
      this.menu();
      this.keyboard();
    }

    axisAsked() {
      return state.axis;
    }

    zoom() {
      return this.axis === state.axis ? state.zoom : null;
    }

    load() {
      this.loading = true;
      this.note.textContent = "";
      if (!this.curves) this.holder.classList.add("waiting");
      ask(this, { kind: "all" });
    }

    // Ask for finer points of the part that is shown, if what is there is coarse.
    refine() {
      const zoom = this.zoom();
      if (!zoom || !this.curves) return;
      const coarse = this.curves.some((curve) => curve.low && !(curve.detail && curve.detail.from <= zoom[0] && curve.detail.to >= zoom[1] && !curve.detail.low));
      const same = this.curves.some((curve) => curve.detail && curve.detail.from === zoom[0] && curve.detail.to === zoom[1]);
      if (coarse && !same) ask(this, { kind: "part", from: zoom[0], to: zoom[1] });
    }

    grow() {
      const last = Math.min(...this.curves.map(end));
      if (Number.isFinite(last) && this.axis === state.axis) ask(this, { kind: "new", from: last });
      else this.load();
    }

    take(job, found) {
      this.loading = false;
      this.holder.classList.remove("waiting");
      if (job.axis !== state.axis) return; // asked for before the axis was changed
      const all = found.flatMap((chart) => chart.curves.map((curve) => ({ ...curve, key: chart.key })));
      if (job.kind === "all") {
        this.curves = all;
        this.axis = (found.find((chart) => chart.curves.length) || { axis: state.axis }).axis;
        this.refine();
      } else if (job.kind === "part") {
        if (!state.zoom || state.zoom[0] !== job.from) return;
        for (const curve of this.curves) {
          const finer = all.find((one) => one.run === curve.run && one.key === curve.key);
          curve.detail = finer && { ...finer, from: job.from, to: job.to };
        }
      } else this.append(all);
      this.redraw();
    }

    append(all) {
      for (const fresh of all) {
        const curve = this.curves.find((one) => one.run === fresh.run && one.key === fresh.key);
        const last = curve ? end(curve) : -Infinity;
        const start = fresh.x.findIndex((x) => x > last);
        if (!curve || fresh.low) return void this.load(); // more than can be added
        if (start < 0) continue;
        curve.x.push(...fresh.x.slice(start));
        curve.y.push(...fresh.y.slice(start));
        if (curve.low) {
          curve.low.push(...fresh.y.slice(start));
          curve.high.push(...fresh.y.slice(start));
        }
        curve.logged += fresh.x.length - start;
        curve.end = fresh.x[fresh.x.length - 1];
        if (curve.x.length > 1500) return void this.load();
      }
    }

    failed(job, error) {
      this.loading = false;
      this.holder.classList.remove("waiting");
      if (job.kind !== "all") return; // what is there stays
      this.note.textContent = `The chart could not be loaded: ${error.message}. `;
      const again = this.note.appendChild(element("button", "quiet", "Try again"));
      again.type = "button";
      again.addEventListener("click", () => this.load());
    }

    // A new drawing would drop what is being dragged, so it waits until the button is released.
    redraw() {
      this.dirty = !this.visible || this.held;
      if (this.dirty || this.frame) return;
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        if (this.held) this.dirty = true;
        else this.draw();
      });
    }

    hold() {
      this.held = true;
      const release = () => {
        this.held = false;
        if (this.dirty) this.redraw();
      };
      addEventListener("mouseup", release, { once: true });
    }

    drop() {
      if (this.plot) this.plot.destroy();
      this.plot = null;
      this.tip = null;
    }

    line(curve) {
      const line = this.lines.get(curve.run);
      if (this.keys.length === 1) return line;
      // Several metrics in one chart: each has its own colour, of which the run's is the first.
      const own = this.group.palette[this.keys.indexOf(curve.key) % this.group.palette.length];
      return { ...line, colour: own[0], dash: own[1], name: this.lines.size > 1 ? `${line.name}: ${curve.key}` : curve.key };
    }

    draw() {
      if (!this.curves) return;
      this.drop();
      this.holder.replaceChildren();
      const shown = this.curves.filter((curve) => !this.lines.get(curve.run).hidden);
      const drawn = shown.filter((curve) => curve.y.some((value) => value != null));
      this.figure.classList.remove("single");
      this.kind = "curve";
      if (!drawn.length) {
        this.kind = "empty";
        this.holder.append(element("p", "soft", shown.length || !this.curves.length ? "No values to draw." : "All runs are hidden."));
      } else if (drawn.every((curve) => curve.x.length === 1)) this.bars(drawn);
      else this.plotted(drawn);
      this.holder.setAttribute("aria-label", this.described(drawn));
      this.caption(shown);
    }

    described(drawn) {
      const name = this.keys.join(" and ");
      if (this.kind !== "curve") return name;
      return `${name}: ${drawn.length === 1 ? "a curve" : `${drawn.length} curves`}. Left and right arrows move along it, plus and minus zoom, 0 shows everything.`;
    }

    // One value a run: the runs side by side.
    bars(drawn) {
      this.kind = "bars";
      this.figure.classList.add("single");
      const values = drawn.map((curve) => ({ line: this.line(curve), value: curve.y[0], step: curve.x[0] })).sort((one, other) => other.value - one.value);
      if (values.length === 1) {
        this.holder.append(element("p", "one", number(values[0].value)));
        return;
      }
      const low = Math.min(0, ...values.map((one) => one.value));
      const high = Math.max(0, ...values.map((one) => one.value));
      const across = (value) => (high === low ? 0 : (100 * (value / 2 - low / 2)) / (high / 2 - low / 2));
      const list = this.holder.appendChild(element("ol", "bars"));
      for (const { line, value } of values) {
        const row = list.appendChild(element("li"));
        row.append(element("span", "name", line.name));
        const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
        svg.setAttribute("viewBox", "0 0 100 10");
        svg.setAttribute("preserveAspectRatio", "none");
        svg.setAttribute("aria-hidden", "true");
        const rect = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "rect"));
        const [left, right] = [across(0), across(value)].sort((one, other) => one - other);
        const attributes = { x: left, width: Math.max(0.5, right - left), y: 0, height: 10, fill: line.colour };
        for (const [name, at] of Object.entries(attributes)) rect.setAttribute(name, at);
        row.append(svg, element("span", "value", number(value)));
      }
    }

    plotted(drawn) {
      const positive = drawn.some((curve) => curve.y.some((value) => value > 0));
      const log = state.log && positive;
      this.logRefused = state.log && !positive;
      this.dropped = 0;
      const tables = [];
      const series = [{}];
      const bands = [];
      this.made = [];
      const tint = (line, part) => line.colour + Math.round(part * 255).toString(16).padStart(2, "0");
      for (const curve of drawn) {
        const line = this.line(curve);
        const made = points(curve, this.axis, log);
        this.dropped += log ? made.dropped : 0;
        const table = [made.x];
        const quiet = { width: 0, points: { show: false }, show: true };
        if (made.sampled) {
          table.push(made.high, made.low);
          series.push({ ...quiet, stroke: line.colour }, { ...quiet, stroke: line.colour });
          bands.push({ series: [series.length - 2, series.length - 1], fill: tint(line, drawn.length > 12 ? 0.1 : 0.22) });
        } else if (state.smooth) {
          table.push(made.y);
          series.push({ ...quiet, width: 1, stroke: tint(line, 0.3) });
        }
        made.shown = state.smooth ? smoothed(made, state.smooth) : made.y;
        table.push(made.shown);
        series.push({
          label: line.name,
          stroke: line.colour,
          dash: line.dash.map((part) => part * devicePixelRatio * 0.8),
          width: drawn.length > 30 ? 1.25 : 1.75,
          points: { show: made.x.length < 30 && !state.smooth, size: 5, fill: line.colour },
        });
        made.series = series.length - 1;
        made.line = line;
        this.made.push(made);
        tables.push(table);
      }
      this.plot = new uPlot(this.options(series, bands, log), uPlot.join(tables), this.holder);
      this.tip = this.plot.over.appendChild(element("div", "tip"));
      this.tip.hidden = true;
      this.plot.over.addEventListener("mousedown", ({ button }) => button === 0 && this.hold());
      this.touch();
    }

    size() {
      const width = this.holder.clientWidth || 300;
      if (this.figure.classList.contains("large")) return { width, height: Math.max(240, Math.min(innerHeight * 0.65, width * 0.5)) };
      return { width, height: Math.round(Math.max(176, Math.min(320, width * 0.5))) };
    }

    options(series, bands, log) {
      const style = getComputedStyle(document.documentElement);
      const text = style.getPropertyValue("--soft").trim() || "#747273";
      const grid = style.getPropertyValue("--faint").trim() || "#dcdbd9";
      const scale = this.axis === "step" ? 1 : 1000;
      const zoom = this.zoom();
      const common = { stroke: text, font: "11px system-ui, sans-serif", grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1, size: 4 }, gap: 4 };
      const across = { ...common, size: 26, space: 64 };
      if (this.axis === "step") {
        across.incrs = [1, 2, 5].flatMap((one) => [one]).concat(...Array.from({ length: 17 }, (_, power) => [1, 2, 5].map((one) => one * 10 ** (power + 1))));
        across.values = (_, places) => places.map((at) => (Math.abs(at) >= 1e6 ? number(at, 4) : at.toLocaleString("en")));
      } else if (this.axis === "time") {
        across.incrs = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000, 864000, 1728000, 4320000];
        across.space = 80;
        across.values = (_, places) => places.map((at) => duration(at * 1000));
      }
      const up = {
        ...common,
        size: (_, values) => 12 + 6.2 * Math.max(3, ...(values || []).map((value) => (value || "").length)),
        values: (_, values) => values.map((value) => (value == null ? "" : number(value, 6))),
        space: 32,
      };
      const range = (low, high) => (low == null ? [null, null] : log ? [rounded(low, Math.floor), rounded(high, Math.ceil)] : this.padded(low, high));
      return {
        ...this.size(),
        series,
        bands,
        axes: [across, up],
        legend: { show: false },
        scales: {
          x: { time: this.axis === "wall", range: zoom ? zoom.map((at) => at / scale) : (_, low, high) => (low === high ? [low - 1, high + 1] : [low, high]) },
          y: { distr: log ? 3 : 1, range: (_, low, high) => range(low, high) },
        },
        focus: { alpha: 0.25 },
        padding: [8, 18, 0, 0],
        cursor: {
          drag: { x: true, y: false, setScale: false },
          points: { show: false },
          sync: { key: `mltrail-${this.axis}`, setSeries: false, scales: ["x", null], filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } },
          bind: { dblclick: () => () => { set({ zoom: null }); return null; } },
        },
        hooks: {
          setCursor: [(plot) => this.point(plot)],
          setSelect: [(plot) => this.selected(plot)],
        },
      };
    }

    padded(low, high) {
      const pad = (high / 2 - low / 2) * 0.1 || Math.abs(high) * 0.05 || 0.5;
      return [low - pad, high + pad];
    }

    selected(plot) {
      const { left, width } = plot.select;
      if (width < 4) return;
      const scale = this.axis === "step" ? 1 : 1000;
      const ends = [left, left + width].map((at) => plot.posToVal(at, "x") * scale);
      plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      if (this.axis === state.axis) set({ zoom: ends });
    }

    // The crosshair: what each line has there, the nearest on top.
    point(plot) {
      if (!this.tip) return;
      const { left, top } = plot.cursor;
      const mine = this.figure.matches(":hover") || this.holder.contains(document.activeElement) || this.touched;
      if (left == null || left < 0 || !mine) {
        this.tip.hidden = true;
        this.focus(null);
        return;
      }
      const x = plot.posToVal(left, "x");
      const found = [];
      for (const made of this.made) {
        const at = nearest(made, x);
        if (at < 0 || made.y[at] == null) continue;
        const height = plot.valToPos(made.shown[at], "y");
        found.push({ made, at, away: Math.abs(height - (top < 0 ? 0 : top)) });
      }
      found.sort((one, other) => one.away - other.away);
      this.tip.replaceChildren(...this.tipped(found, x));
      this.tip.hidden = !found.length;
      this.said = found.length ? `${place(this.axis, x * (this.axis === "step" ? 1 : 1000))}: ${found.slice(0, 5).map(({ made, at }) => `${made.line.name} ${number(made.shown[at])}`).join(", ")}` : "";
      const width = this.tip.offsetWidth;
      const room = plot.over.clientWidth;
      this.tip.style.left = `${Math.max(0, left + width + 16 > room ? left - width - 12 : left + 12)}px`;
      this.tip.style.top = `${Math.max(0, Math.min(plot.over.clientHeight - this.tip.offsetHeight, (top < 0 ? 0 : top) - 12))}px`;
      this.focus(found.length && this.made.length > 1 ? found[0].made.series : null);
    }

    focus(series) {
      if (this.focused === series || this.made.length > 60 || !this.plot) return;
      this.focused = series;
      this.plot.setSeries(series, { focus: series != null });
    }

    tipped(found, x) {
      const scale = this.axis === "step" ? 1 : 1000;
      const at = found.length ? found[0].made.x[found[0].at] : x;
      const rows = found.slice(0, ROWS).map(({ made, at: index }) => {
        const row = element("div", "row");
        row.append(swatch(made.line));
        if (this.made.length > 1) row.append(element("span", "name", made.line.name));
        row.append(element("strong", "", number(made.shown[index])));
        if (made.low[index] !== made.high[index]) row.append(element("span", "soft", `${number(made.low[index], 4)} to ${number(made.high[index], 4)}`));
        return row;
      });
      if (found.length > ROWS) rows.push(element("div", "soft", `and ${found.length - ROWS} more`));
      return [element("div", "soft", place(this.axis, at * scale)), ...rows];
    }

    caption(shown) {
      const parts = [];
      const sum = (name) => shown.reduce((total, curve) => total + (curve[name] || 0), 0);
      const sampled = shown.filter((curve) => (curve.detail ? curve.detail.low : curve.low));
      if (this.kind === "curve") {
        if (this.axis !== state.axis) parts.push("All values have the same step, so they are drawn by time.");
        if (sampled.length) {
          const many = sampled.reduce((total, curve) => total + (curve.detail || curve).logged, 0);
          parts.push(`${many.toLocaleString("en")} values, drawn as means with a band from lowest to highest.`);
        }
        if (this.logRefused) parts.push("No value is above zero, so the axis is linear.");
        else if (this.dropped) parts.push(`${this.dropped.toLocaleString("en")} ${this.dropped === 1 ? "value" : "values"} at or below zero can't be shown on a logarithmic axis.`);
      }
      if (sum("nans")) parts.push(`${sum("nans").toLocaleString("en")} NaN, shown as gaps.`);
      if (sum("infinite")) parts.push(`${sum("infinite").toLocaleString("en")} infinite, shown as gaps.`);
      this.note.textContent = parts.join(" ");
    }

    resized() {
      const width = this.holder.clientWidth;
      if (this.plot && width && Math.abs(width - this.width) > 2) this.plot.setSize(this.size());
      this.width = width;
    }

    // ---- What a reader does

    keyboard() {
      this.holder.tabIndex = 0;
      this.holder.setAttribute("role", "group");
      this.holder.setAttribute("aria-label", this.keys.join(" and "));
      this.holder.addEventListener("keydown", (event) => {
        if (!this.plot || event.ctrlKey || event.metaKey || event.altKey) return;
        const width = this.plot.over.clientWidth;
        const now = this.plot.cursor.left >= 0 ? this.plot.cursor.left : width / 2;
        const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (move) {
          const left = Math.max(0, Math.min(width - 1, now + move * (event.shiftKey ? width / 10 : width / 60)));
          this.plot.setCursor({ left, top: this.plot.over.clientHeight / 2 });
          this.spoken.textContent = this.said;
        } else if (event.key === "Home" || event.key === "End") {
          this.plot.setCursor({ left: event.key === "Home" ? 0 : width - 1, top: this.plot.over.clientHeight / 2 });
          this.spoken.textContent = this.said;
        } else if (event.key === "+" || event.key === "=" || event.key === "-") this.scale(event.key === "-" ? 2 : 0.5, now / width);
        else if (event.key === "0") set({ zoom: null });
        else if (event.key === "Escape" && !this.tip.hidden) this.plot.setCursor({ left: -10, top: -10 });
        else return;
        event.preventDefault();
      });
      this.holder.addEventListener("blur", () => this.plot && this.plot.setCursor({ left: -10, top: -10 }));
    }

    scale(factor, part) {
      if (this.axis !== state.axis) return;
      const scale = this.axis === "step" ? 1 : 1000;
      const { min, max } = this.plot.scales.x;
      const centre = min + (max - min) * part;
      const ends = [centre - (max - min) * part * factor, centre + (max - min) * (1 - part) * factor].map((at) => at * scale);
      const all = this.curves.filter((curve) => curve.x.length);
      const [low, high] = [Math.min(...all.map((curve) => curve.x[0])), Math.max(...all.map((curve) => curve.x[curve.x.length - 1]))];
      const zoom = [Math.max(low, ends[0]), Math.min(high, ends[1])];
      set({ zoom: zoom[0] <= low && zoom[1] >= high ? null : zoom });
    }

    touch() {
      const over = this.plot.over;
      const move = (event) => {
        const { left, top } = over.getBoundingClientRect();
        this.touched = true;
        this.plot.setCursor({ left: event.touches[0].clientX - left, top: event.touches[0].clientY - top });
      };
      over.addEventListener("touchstart", move, { passive: true });
      over.addEventListener("touchmove", move, { passive: true });
      document.addEventListener("touchstart", (event) => {
        if (!this.touched || over.contains(event.target)) return;
        this.touched = false;
        if (this.plot) this.plot.setCursor({ left: -10, top: -10 });
      }, { passive: true });
    }

    menu() {
      for (const button of this.figure.querySelectorAll("[data-do]")) {
        button.hidden = false;
        button.addEventListener("click", () => {
          if (button.dataset.do === "large") this.enlarge(button);
          else this.picture();
          const menu = button.closest("details");
          if (menu) menu.open = false;
        });
      }
    }

    enlarge(button) {
      const large = this.figure.classList.toggle("large");
      button.setAttribute("aria-pressed", String(large));
      if (this.plot) this.plot.setSize(this.size());
    }

    picture() {
      if (!this.plot) return;
      const source = this.plot.ctx.canvas;
      const style = getComputedStyle(document.documentElement);
      const ratio = devicePixelRatio;
      const named = this.made.length > 1 || this.keys.length > 1 ? this.made.slice(0, 20) : [];
      const canvas = element("canvas");
      canvas.width = source.width;
      canvas.height = source.height + (28 + 16 * named.length) * ratio;
      const paper = canvas.getContext("2d");
      paper.fillStyle = style.getPropertyValue("--back").trim() || "#fff";
      paper.fillRect(0, 0, canvas.width, canvas.height);
      paper.drawImage(source, 0, 24 * ratio);
      paper.scale(ratio, ratio);
      paper.fillStyle = style.getPropertyValue("--text").trim() || "#000";
      paper.font = "bold 13px system-ui, sans-serif";
      paper.fillText(this.keys.join(", "), 10, 17);
      paper.font = "12px system-ui, sans-serif";
      named.forEach(({ line }, row) => {
        const y = source.height / ratio + 36 + 16 * row;
        paper.strokeStyle = line.colour;
        paper.lineWidth = 3;
        paper.setLineDash(line.dash);
        paper.beginPath();
        paper.moveTo(10, y - 4);
        paper.lineTo(34, y - 4);
        paper.stroke();
        paper.fillText(line.name, 42, y);
      });
      canvas.toBlob((blob) => {
        const link = element("a");
        link.href = URL.createObjectURL(blob);
        link.download = `${this.keys.join(" ").replace(/[^\w.-]+/g, "-")}.png`;
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 1000);
      });
    }
  }

  // ---- The state of the page

  let writing = 0;
  let refining = 0;

  function set(changes) {
    if (changes.axis && changes.axis !== state.axis) changes.zoom = null;
    if (changes.zoom) changes.zoom = changes.zoom.map((at) => Math.round(at));
    if (changes.zoom && changes.zoom[0] >= changes.zoom[1]) changes.zoom[1] = changes.zoom[0] + 1;
    const reload = changes.axis && changes.axis !== state.axis;
    Object.assign(state, changes);
    if ("zoom" in changes && !changes.zoom) {
      for (const chart of charts) for (const curve of chart.curves || []) delete curve.detail;
    }
    for (const chart of charts) {
      if (reload && chart.curves) {
        if (chart.visible) chart.load();
        else chart.stale = true;
      } else chart.redraw();
    }
    show();
    clearTimeout(writing);
    writing = setTimeout(write, 150);
    if (changes.zoom) {
      clearTimeout(refining);
      refining = setTimeout(() => {
        refining = 0;
        charts.filter((chart) => chart.visible).forEach((chart) => chart.refine());
      }, 150);
    }
  }

  function write() {
    writing = 0;
    const url = new URL(location.href);
    const values = { axis: state.axis === (groups[0].dataset.default || "step") ? "" : state.axis, log: state.log ? "1" : "", smooth: state.smooth ? String(state.smooth) : "", zoom: state.zoom ? state.zoom.join(",") : "" };
    for (const [name, value] of Object.entries(values)) {
      if (value) url.searchParams.set(name, value);
      else url.searchParams.delete(name);
    }
    // A comma need not be escaped, and people read addresses.
    url.search = url.search.replaceAll("%2C", ",");
    history.replaceState(history.state, "", url);
    document.dispatchEvent(new CustomEvent("mltrail:charts", { detail: values }));
  }

  const forms = [...document.querySelectorAll("form.chart-controls")];

  // The controls show the state, whichever of them, or of the charts, has changed it.
  function show() {
    for (const form of forms) {
      const { axis, log, smooth, zoom } = form.elements;
      axis.value = state.axis;
      log.checked = state.log;
      smooth.value = state.smooth;
      form.querySelector("output").textContent = state.smooth ? state.smooth.toFixed(2) : "off";
      if (document.activeElement !== zoom) zoom.value = state.zoom ? state.zoom.join(",") : "";
      form.querySelector("[data-reset]").hidden = !state.zoom;
    }
  }

  for (const form of forms) {
    const { axis, log, smooth, zoom } = form.elements;
    form.querySelector("[data-apply]").hidden = true;
    axis.addEventListener("change", () => set({ axis: axis.value }));
    log.addEventListener("change", () => set({ log: log.checked }));
    smooth.addEventListener("input", () => set({ smooth: Number(smooth.value) }));
    zoom.addEventListener("change", () => set({ zoom: readState({ zoom: zoom.value }).zoom }));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      set({ zoom: readState({ zoom: zoom.value }).zoom });
    });
    form.querySelector("[data-reset]").addEventListener("click", (event) => {
      event.preventDefault();
      set({ zoom: null });
    });
  }

  // ---- The groups

  const groupOf = new Map();
  const byFigure = new Map();
  for (const root of groups) {
    const lines = new Map(JSON.parse(root.dataset.lines).map(([iid, name, colour, dash, hidden]) => [iid, { iid, name, colour, dash, hidden: Boolean(hidden) }]));
    const group = { base: root.dataset.base, lines, palette: JSON.parse(root.dataset.palette) };
    groupOf.set(root, group);
    for (const figure of root.querySelectorAll("figure[data-keys]")) {
      const chart = new Chart(figure, group);
      byFigure.set(figure, chart);
      charts.push(chart);
    }
  }

  function hide(iid, hidden) {
    for (const group of groupOf.values()) if (group.lines.has(iid)) group.lines.get(iid).hidden = hidden;
    for (const chart of charts) if (chart.lines.has(iid)) chart.redraw();
    for (const button of document.querySelectorAll(`[data-hide-run="${iid}"]`)) button.setAttribute("aria-pressed", String(!hidden));
  }

  document.addEventListener("mltrail:hide", ({ detail }) => hide(Number(detail.iid), Boolean(detail.hidden)));
  document.addEventListener("mltrail:colour", ({ detail }) => {
    for (const group of groupOf.values()) {
      const line = group.lines.get(Number(detail.iid));
      if (line) Object.assign(line, { colour: detail.colour, dash: detail.dash || [] });
    }
    for (const chart of charts) chart.redraw();
  });
  for (const button of document.querySelectorAll("button[data-hide-run]")) {
    button.disabled = false;
    button.addEventListener("click", () => {
      const detail = { iid: Number(button.dataset.hideRun), hidden: button.getAttribute("aria-pressed") === "true" };
      document.dispatchEvent(new CustomEvent("mltrail:hide", { detail }));
    });
  }

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const chart = byFigure.get(entry.target);
      chart.visible = entry.isIntersecting;
      if (!chart.visible) {
        if (charts.length > MOST_DRAWN && chart.plot) {
          chart.drop();
          chart.dirty = true;
        }
      } else if ((!chart.curves || chart.stale) && !chart.loading) {
        chart.stale = false;
        chart.load();
      } else {
        if (chart.dirty) chart.redraw();
        chart.refine();
      }
    }
  }, { rootMargin: "300px" });
  const sizes = new ResizeObserver((entries) => entries.forEach((entry) => byFigure.get(entry.target).resized()));
  for (const [figure] of byFigure) {
    seen.observe(figure);
    sizes.observe(figure);
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((chart) => chart.redraw()));
  show();

  window.mltrail = window.mltrail || {};
  window.mltrail.charts = {
    state,
    set,
    // Whether the charts in view are loaded and drawn as the state says, and the address says the same.
    idle() {
      const drawn = (chart) => !chart.visible || (chart.curves && !chart.frame && !chart.dirty);
      return !writing && !refining && !waiting.length && !running && charts.every(drawn);
    },
    // Fetch what is new of the curves of these runs: a Map of metrics with their latest step, by run.
    grow(latest) {
      for (const chart of charts) {
        if (!chart.curves || chart.loading) continue;
        const grown = [...latest].some(([iid, steps]) => chart.lines.has(iid) && chart.keys.some((key) => {
          if (!steps.has(key)) return false;
          const curve = chart.curves.find((one) => one.run === iid && one.key === key);
          return !curve || state.axis !== "step" || steps.get(key) > end(curve);
        }));
        if (!grown) continue;
        if (chart.visible) chart.grow();
        else chart.stale = true;
      }
    },
  };
})();
