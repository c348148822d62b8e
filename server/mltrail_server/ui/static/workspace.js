"use strict";
// An experiment's page: what works there by forms and links works at once, and the address follows by replaceState.
{
  // Changed by scripts here and in charts.js: links and forms of the page were written before, so they take these from
  // the address when they are used.
  const LIVE = ["hide", "colour", "side", "axis", "log", "smooth", "zoom"];
  const SIDES = ["narrow", "wide"];
  const workspace = document.querySelector(".workspace");
  const rows = [...document.querySelectorAll("tr[data-run]")];
  const bulk = document.getElementById("bulk");

  const query = () => new URLSearchParams(location.search);

  function write(changed) {
    const text = changed.toString();
    history.replaceState(history.state, "", text ? `?${text}` : location.pathname);
  }

  // --- Links and forms

  function follow(link) {
    const to = new URL(link.href);
    const names = [...new Set(to.searchParams.keys())];
    if (to.pathname !== location.pathname || to.hash || !names.length || (names.length === 1 && names[0] === "saved")) return;
    for (const name of LIVE) {
      if (name === "side" && "side" in link.dataset) continue;
      to.searchParams.delete(name);
      for (const value of query().getAll(name)) to.searchParams.append(name, value);
    }
    link.href = to.href;
  }

  function carry(form) {
    for (const input of form.querySelectorAll("input[type=hidden]")) if (LIVE.includes(input.name)) input.remove();
    for (const name of LIVE) {
      if (form.elements.namedItem(name)) continue; // the form's own control
      for (const value of query().getAll(name)) {
        const input = document.createElement("input");
        Object.assign(input, { type: "hidden", name, value });
        form.append(input);
      }
    }
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("main a[href]");
    if (link) follow(link);
  }, true);
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const now = form.elements.namedItem("query");
    if (now) now.value = location.search.slice(1);
    else if (form.method === "get" && new URL(form.action).pathname === location.pathname) carry(form);
  }, true);

  // --- Which runs are drawn

  const eyeOf = (row) => row.querySelector(".eye");
  const hiddenIn = (row) => eyeOf(row).getAttribute("aria-pressed") === "false";

  function mark(row, drawn) {
    const circle = row.querySelector(".paint circle");
    const before = circle.getAttribute("fill") !== "none";
    circle.setAttribute("fill", drawn ? circle.getAttribute("stroke") : "none");
    return before !== drawn;
  }

  function setHidden(row, hidden) {
    eyeOf(row).setAttribute("aria-pressed", String(!hidden));
    const use = eyeOf(row).querySelector("use");
    if (use) use.setAttribute("href", use.getAttribute("href").replace(/#.*/, hidden ? "#eye-slash" : "#eye"));
  }

  // Draws the first runs that are not hidden, and tells the charts which have changed.
  function redraw(own) {
    let drawn = 0;
    const most = Number(workspace.dataset.draw);
    for (const row of rows) {
      const draws = !hiddenIn(row) && drawn < most;
      drawn += draws;
      if (mark(row, draws) && row !== own) announce(row, !draws);
    }
    const note = document.querySelector("[data-drawn]");
    if (note) note.textContent = `${drawn} of ${rows.length} runs on this page shown`;
    const changed = query();
    const there = new Set(rows.map((row) => row.dataset.run));
    const elsewhere = changed.getAll("hide").filter((iid) => !there.has(iid));
    changed.delete("hide");
    for (const iid of [...elsewhere, ...rows.filter(hiddenIn).map((row) => row.dataset.run)]) changed.append("hide", iid);
    write(changed);
  }

  let speaking = false;
  function announce(row, hidden) {
    speaking = true;
    document.dispatchEvent(new CustomEvent("mltrail:hide", { detail: { iid: Number(row.dataset.run), hidden } }));
    speaking = false;
  }

  // From the legend of a chart.
  document.addEventListener("mltrail:hide", ({ detail }) => {
    const row = rows.find((one) => Number(one.dataset.run) === detail.iid);
    if (speaking || !row || !eyeOf(row)) return;
    setHidden(row, detail.hidden);
    redraw(row);
  });

  function toggle(row) {
    setHidden(row, !hiddenIn(row));
    redraw(null);
  }

  // --- Colours

  let popover = null;
  function closePopover() {
    if (popover) popover.remove();
    popover = null;
  }

  function recolour(iid, colour, dash) {
    const circle = rows.find((row) => row.dataset.run === iid).querySelector(".paint circle");
    circle.setAttribute("stroke", colour);
    if (circle.getAttribute("fill") !== "none") circle.setAttribute("fill", colour);
    document.dispatchEvent(new CustomEvent("mltrail:colour", { detail: { iid: Number(iid), colour, dash } }));
  }

  function paint(button) {
    closePopover();
    const iid = button.closest("tr").dataset.run;
    popover = document.createElement("div");
    popover.className = "popover";
    popover.setAttribute("role", "group");
    popover.setAttribute("aria-label", button.textContent.trim());
    popover.append(document.getElementById("colours").content.cloneNode(true));
    popover.addEventListener("click", (event) => {
      const chosen = event.target.closest("button");
      if (!chosen) return;
      const changed = query();
      const others = changed.getAll("colour").filter((one) => !one.startsWith(`${iid}:`));
      changed.delete("colour");
      for (const one of [...others, `${iid}:${chosen.value}`]) changed.append("colour", one);
      write(changed);
      recolour(iid, chosen.querySelector("circle").getAttribute("stroke"), JSON.parse(chosen.dataset.dash));
      closePopover();
      button.focus();
    });
    popover.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      closePopover();
      button.focus();
    });
    document.body.append(popover);
    const at = button.getBoundingClientRect();
    const left = Math.min(at.left, document.documentElement.clientWidth - popover.offsetWidth - 8);
    popover.style.left = `${left + scrollX}px`;
    popover.style.top = `${at.bottom + scrollY + 2}px`;
    popover.querySelector("button").focus();
  }
  document.addEventListener("click", (event) => {
    if (popover && !popover.contains(event.target) && !event.target.closest(".paint")) closePopover();
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[form=state]");
    if (!button || !button.closest("tr[data-run]")) return;
    if (button.matches(".eye")) {
      event.preventDefault();
      toggle(button.closest("tr"));
    } else if (button.matches(".paint")) {
      event.preventDefault();
      paint(button);
    }
  });

  // --- The width of the charts

  for (const link of document.querySelectorAll("a[data-side]")) {
    link.addEventListener("click", (event) => {
      const side = link.dataset.side;
      if (!workspace || side === "closed" || workspace.classList.contains("closed") || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      workspace.classList.remove(...SIDES);
      if (side) workspace.classList.add(side);
      for (const other of document.querySelectorAll("a[data-side]")) {
        if (other === link) other.setAttribute("aria-current", "true");
        else other.removeAttribute("aria-current");
      }
      const changed = query();
      changed.delete("side");
      if (side) changed.set("side", side);
      write(changed);
    });
  }

  // --- Choosing runs

  // A group's box stands for all of its runs; the page may show some of them, each with a box of its own.
  const boxes = [...document.querySelectorAll(".runs-side input[name=run]")];
  if (bulk && boxes.length) {
    const groupBox = (box) => boxes.find((one) => "count" in one.dataset && one.dataset.group === box.dataset.group);
    const all = document.querySelector("input[data-all]");
    const which = bulk.elements.namedItem("which");
    const note = bulk.querySelector("[data-chosen]");
    let last = null;

    function runsOf(box) {
      if ("count" in box.dataset) return Number(box.dataset.count);
      return "group" in box.dataset && groupBox(box).checked ? 0 : 1;
    }

    function spread(box) {
      if ("count" in box.dataset) {
        for (const one of boxes) if (one.dataset.group === box.dataset.group) one.checked = box.checked;
      } else if ("group" in box.dataset && !box.checked) groupBox(box).checked = false;
    }

    function count() {
      const checked = boxes.filter((box) => box.checked);
      const chosen = checked.reduce((sum, box) => sum + runsOf(box), 0);
      all.checked = checked.length === boxes.length;
      all.indeterminate = checked.length > 0 && !all.checked;
      note.textContent = which.value === "chosen" && chosen ? `${chosen} selected` : "";
      const every = which.querySelector("option[value=all]");
      if (all.checked && every && which.value === "chosen") {
        const more = document.createElement("button");
        more.type = "button";
        more.className = "quiet";
        more.textContent = `Select ${every.textContent.toLowerCase()}`;
        more.addEventListener("click", () => {
          which.value = "all";
          count();
          which.focus();
        });
        note.append(" ", more);
      }
    }

    all.hidden = false;
    all.addEventListener("change", () => {
      which.value = "chosen";
      for (const box of boxes) box.checked = all.checked;
      count();
    });
    boxes.forEach((box, place) => {
      box.addEventListener("click", (event) => {
        if (event.shiftKey && last !== null) {
          const [from, to] = last < place ? [last, place] : [place, last];
          for (const other of boxes.slice(from, to + 1)) other.checked = box.checked;
        }
        spread(box);
        last = place;
        which.value = "chosen";
        count();
      });
    });
    which.addEventListener("change", count);
    count();
  }

  // --- Menus with many boxes: find one, and put them in order

  for (const form of document.querySelectorAll("form[data-chooser]")) {
    const find = form.querySelector("[data-find]");
    const choices = [...form.querySelectorAll(".choice")];
    find.hidden = false;
    find.querySelector("input").addEventListener("input", (event) => {
      const typed = event.target.value.trim().toLowerCase();
      for (const one of choices) one.hidden = Boolean(typed) && !one.textContent.toLowerCase().includes(typed);
    });
    find.querySelector("input").addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      const first = choices.find((one) => !one.hidden);
      if (first) first.querySelector("input").click();
    });
    form.addEventListener("click", (event) => {
      const button = event.target.closest(".moves button");
      if (!button) return;
      event.preventDefault();
      const choice = button.closest(".choice");
      const other = button.value.startsWith("earlier:") ? choice.previousElementSibling : choice.nextElementSibling;
      if (!other || !other.matches(".choice")) return;
      if (button.value.startsWith("earlier:")) other.before(choice);
      else other.after(choice);
      button.focus();
    });
  }

  // --- Keys

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const box = document.getElementById("filter");
    if (!box) return;
    event.preventDefault();
    box.focus();
    box.select();
  });
}
