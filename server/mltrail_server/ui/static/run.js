"use strict";
// A run's page: names are found while one types, and a slider goes through pictures by their steps.
(() => {
  // Hides the rows whose name does not contain what is typed; without scripts, and with Enter, the server searches.
  for (const input of document.querySelectorAll("input[data-find]")) {
    const rows = [...document.getElementById(input.dataset.find).querySelectorAll("[data-name]")];
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase();
      for (const row of rows) row.hidden = !row.dataset.name.toLowerCase().includes(words);
    });
  }

  // Pictures over steps. The address keeps the step; the form and the links do the same without scripts.
  const slider = document.getElementById("slider");
  if (!slider) return;
  const steps = JSON.parse(slider.dataset.steps);
  const number = document.getElementById("step");
  const links = [
    [document.getElementById("step-before"), -1],
    [document.getElementById("step-after"), 1],
  ];
  const rows = [...document.querySelectorAll("[data-frames]")].map((row) => ({
    row,
    frames: JSON.parse(row.dataset.frames),
    picture: row.querySelector(".big img"),
  }));
  const path = (text) => text.split("/").map(encodeURIComponent).join("/");
  const address = (step) => {
    const url = new URL(location.href);
    url.searchParams.set("step", step);
    return url;
  };
  // The place of the last one that is not after the step, or else of the first: both lists are in order.
  const placeOf = (list, step) => Math.max(0, list.findLastIndex((one) => one <= step));

  // The same small pictures as the server shows: those around the place.
  function thumbs(row, frames, place, base) {
    const links = [...row.querySelectorAll(".thumbs a")];
    const first = Math.max(0, Math.min(place - Math.floor(links.length / 2), frames.length - links.length));
    links.forEach((link, number) => {
      const [step, file, small = file] = frames[first + number];
      const url = `${base}/pictures/${path(small)}`;
      const picture = link.querySelector("img");
      if (picture.getAttribute("src") !== url) picture.src = url;
      link.dataset.step = step;
      link.href = address(step);
      link.querySelector("span").textContent = step.toLocaleString("en");
      if (first + number === place) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
    reveal(row);
  }

  function reveal(row) {
    const link = row.querySelector(".thumbs a[aria-current]");
    if (link) link.parentElement.parentElement.scrollLeft = link.offsetLeft - 60;
  }

  function show(step) {
    slider.value = placeOf(steps, step);
    slider.setAttribute("aria-valuetext", `step ${step}`);
    number.value = step;
    for (const { row, frames, picture } of rows) {
      const place = placeOf(frames.map((frame) => frame[0]), step);
      const [at, file] = frames[place];
      const base = picture.dataset.base;
      picture.loading = "eager";
      picture.src = `${base}/pictures/${path(file)}`;
      picture.alt = `${row.getAttribute("aria-label")} at step ${at}`;
      picture.parentElement.href = `${base}/browse/${path(file)}`;
      row.querySelector(".step").textContent = at.toLocaleString("en");
      const other = row.querySelector(".other");
      other.hidden = at === step;
      other.textContent = ` (none at ${step.toLocaleString("en")})`;
      thumbs(row, frames, place, base);
    }
    for (const [link, by] of links) {
      const next = steps[Number(slider.value) + by];
      if (next === undefined) link.removeAttribute("href");
      else link.href = address(next);
      link.setAttribute("aria-disabled", String(next === undefined));
    }
    history.replaceState(null, "", address(step));
  }

  for (const { row } of rows) reveal(row);
  slider.closest("label").hidden = false;
  slider.value = placeOf(steps, Number(number.value));
  slider.addEventListener("input", () => show(steps[slider.value]));
  document.getElementById("go").hidden = true;
  number.addEventListener("change", () => show(Number(number.value)));
  number.form.addEventListener("submit", (event) => {
    event.preventDefault();
    show(Number(number.value));
  });
  for (const [link, by] of links) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const next = steps[Number(slider.value) + by];
      if (next !== undefined) show(next);
    });
  }
  for (const link of document.querySelectorAll(".thumbs a")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      show(Number(link.dataset.step));
    });
  }
  // The arrow keys go from step to step wherever nothing else uses them.
  document.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.target.closest("input, textarea, select, summary, [tabindex='0']") || event.altKey || event.ctrlKey || event.metaKey) return;
    const next = steps[Number(slider.value) + by];
    if (next !== undefined) show(next);
  });
})();
