"use strict";
// Updates the numbers and curves of running runs, or a whole page, without a reload; see templates/live.html and ui/live.py.
//
// One small request every few seconds for all of a page, as long as the page is seen and a run is running. Hidden pages
// ask for nothing, and neither do pages that were closed.
(() => {
  const source = document.querySelector("[data-live]");
  if (!source) return;
  const EVERY = 5000;
  const SLOWEST = 60_000;
  const MOST = 100; // runs in a request, see services/pages/live.py
  const MOST_KEYS = 200; // metrics in a request
  const LONGEST = 4000; // characters of their names in an address
  const runOf = (element) => Number(element.closest("[data-live-run]").dataset.liveRun);
  const waitedFor = new Set([...document.querySelectorAll("[data-live-status]")].map(runOf));

  const isWhole = Boolean(source.dataset.liveMark); // see `whole` in templates/live.html
  let mark = isWhole ? `W/"${source.dataset.liveMark}"` : "";
  let wait = EVERY;
  let timer = 0;
  let asked = 0;
  let stopped = !isWhole && !waitedFor.size;

  function say(text) {
    if (source.textContent !== text) source.textContent = text;
  }

  function elements(run, name) {
    return [...document.querySelectorAll(`[data-live-run="${run}"][${name}], [data-live-run="${run}"] [${name}]`)];
  }

  function duration(milliseconds) {
    const seconds = Math.max(0, Math.round(milliseconds / 1000));
    if (seconds < 60) return `${seconds} s`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
    return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  }

  function tick() {
    for (const run of waitedFor) {
      for (const element of elements(run, "data-live-duration")) {
        element.textContent = duration(Date.now() - Number(element.dataset.liveDuration));
        const row = element.closest("tr");
        if (row) row.hidden = false;
      }
    }
  }

  function show(runs) {
    const steps = new Map();
    const ended = [];
    for (const run of runs) {
      if (!waitedFor.has(run.run)) continue;
      const metrics = new Map(Object.entries(run.metrics));
      for (const element of elements(run.run, "data-live-metric")) {
        const found = metrics.get(element.dataset.liveMetric);
        if (!found || element.textContent === found[0]) continue;
        element.textContent = found[0];
        // What else was said of the number that was there: all of its digits, and that it was the best.
        const cell = element.closest("td, dd") || element;
        cell.removeAttribute("title");
        cell.classList.remove("best");
      }
      for (const element of elements(run.run, "data-live-step")) {
        const found = metrics.get(element.dataset.liveStep);
        if (found && found[1]) element.textContent = `at ${found[1].toLocaleString("en")}`;
      }
      steps.set(run.run, new Map([...metrics].map(([key, [, step]]) => [key, step])));
      if (run.running) continue;
      waitedFor.delete(run.run);
      ended.push(`${run.name}: ${run.status.toLowerCase()}`);
      for (const element of elements(run.run, "data-live-status")) element.innerHTML = run.badge;
      for (const element of elements(run.run, "data-live-duration")) element.textContent = run.duration;
    }
    if (window.mltrail && window.mltrail.charts) window.mltrail.charts.grow(steps);
    document.dispatchEvent(new CustomEvent("mltrail:live", { detail: { runs } }));
    say(ended.join(", "));
    if (!waitedFor.size) stopped = true;
  }

  // Tables that say more of the numbers than their last values, such as the best one or a difference, are written by the
  // server: their cells are taken from the page as it is now. Rows stay, since they may be hidden.
  async function refresh() {
    const tables = [...document.querySelectorAll("table[data-live-cells]")];
    const fresh = tables.length ? await pageNow() : null;
    if (!fresh) return; // the next request says why
    for (const [place, written] of [...fresh.querySelectorAll("table[data-live-cells]")].entries()) {
      const table = tables[place];
      if (!table || headingsOf(table) !== headingsOf(written)) {
        say("This table has other columns now. Reload the page to see them.");
        continue;
      }
      const known = new Map([...table.rows].map((row) => [row.dataset.name, row]));
      for (const row of written.querySelectorAll("tr[data-name]")) {
        const before = known.get(row.dataset.name);
        if (before) [...row.cells].slice(1).forEach((cell, column) => renew(before.cells[column + 1], cell));
        else if (table.tBodies.length === 1) table.tBodies[0].append(row);
      }
    }
    window.mltrail.ownTimes();
  }

  function headingsOf(table) {
    return table.tHead.textContent;
  }

  function renew(before, cell) {
    if (!before.isEqualNode(cell) && !before.contains(document.activeElement)) before.replaceWith(cell);
  }

  async function pageNow() {
    const answer = await fetch(location.href, { credentials: "same-origin", redirect: "manual", cache: "no-store" });
    return answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
  }

  // What a reader has opened stays open, and the focus stays where it was, if the new page still has the same element.
  async function replaceWhole() {
    const fresh = await pageNow();
    if (!fresh) throw new Error("no page");
    const [before, now] = [document, fresh].map((page) => page.querySelector("[data-live-part]"));
    const opened = new Map([...before.querySelectorAll("details")].map((one) => [summaryOf(one), one.open]));
    for (const one of now.querySelectorAll("details")) one.open = opened.get(summaryOf(one)) ?? one.open;
    const focused = before.contains(document.activeElement) ? document.activeElement.outerHTML : "";
    const heading = before.querySelector("h2")?.textContent;
    before.replaceWith(now);
    if (focused) [...now.querySelectorAll("a, button, summary, [tabindex]")].find((one) => one.outerHTML === focused)?.focus();
    window.mltrail.ownTimes();
    const said = now.querySelector("h2")?.textContent;
    say(said && said !== heading ? `New: ${said.trim()}` : "");
    const next = fresh.querySelector("[data-live]");
    stopped = !next;
    // The next request is about the page that is now shown: more may have changed since the first answer.
    mark = next ? `W/"${next.dataset.liveMark}"` : "";
  }

  function summaryOf(details) {
    return details.querySelector("summary").textContent;
  }

  // Which metrics the page shows. Tables that are fetched with their page may show any, even new ones: pages with such
  // tables, and those with very many metrics, ask for all.
  function keysShown() {
    if (document.querySelector("table[data-live-cells]")) return "";
    const names = new Set();
    for (const element of document.querySelectorAll("[data-live-metric]")) names.add(element.dataset.liveMetric);
    for (const figure of document.querySelectorAll("figure[data-keys]")) {
      for (const name of JSON.parse(figure.dataset.keys)) names.add(name);
    }
    const query = [...(names.size ? names : [""])].map((name) => `&key=${encodeURIComponent(name)}`).join("");
    return names.size <= MOST_KEYS && query.length <= LONGEST ? query : "";
  }

  async function ask() {
    timer = 0;
    asked = Date.now();
    try {
      const headers = { Accept: "application/json", ...(mark && { "If-None-Match": mark }) };
      const runs = isWhole ? "" : `?run=${[...waitedFor].slice(0, MOST).join(",")}${keysShown()}`;
      const address = source.dataset.live + runs;
      // A redirect leads to the form to sign in.
      const answer = await fetch(address, { credentials: "same-origin", headers, redirect: "manual", cache: "no-store" });
      if (answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403 || answer.status === 404) {
        stopped = true;
        say("You are signed out, so this page no longer updates.");
      } else if (answer.status === 304) wait = EVERY;
      else if (!answer.ok) throw new Error(String(answer.status));
      else if (isWhole) {
        await replaceWhole();
        wait = EVERY;
      } else {
        mark = answer.headers.get("ETag") || "";
        wait = EVERY;
        say("");
        show((await answer.json()).runs);
        await refresh();
      }
    } catch {
      wait = Math.min(SLOWEST, wait * 2);
      say(`This page can't be updated at the moment. Trying again in ${Math.round(wait / 1000)} s.`);
    }
    tick();
    plan(wait);
  }

  function plan(delay) {
    clearTimeout(timer);
    timer = stopped || document.hidden ? 0 : setTimeout(ask, delay);
  }

  document.addEventListener("visibilitychange", () => plan(Math.max(0, wait - (Date.now() - asked))));
  tick();
  asked = Date.now();
  plan(EVERY);
})();
