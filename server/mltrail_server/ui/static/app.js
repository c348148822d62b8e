"use strict";
// Small helps for pages that work without them: copy buttons, menus that close, times of the reader's own zone.

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", () => {
    navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
  });
}

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// Times come in UTC. Here they become the reader's own, and recent ones say how long ago they were.
const AGO = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60]];

function ownTime(at, now) {
  const seconds = (at - now) / 1000;
  if (Math.abs(seconds) < 60) return seconds > 0 ? "in a moment" : "just now";
  if (Math.abs(seconds) < 7 * 86400) {
    const [unit, size] = STEPS.find(([, size]) => Math.abs(seconds) >= size);
    return AGO.format(Math.round(seconds / size), unit);
  }
  const year = at.getFullYear() === now.getFullYear() ? undefined : "numeric";
  return at.toLocaleString("en-GB", { day: "numeric", month: "short", year, hour: "2-digit", minute: "2-digit" });
}

function ownTimes() {
  const now = new Date();
  for (const element of document.querySelectorAll("time[datetime]")) {
    const at = new Date(element.dateTime);
    if (!Number.isNaN(at.getTime())) element.textContent = ownTime(at, now);
  }
}
ownTimes();
setInterval(() => document.hidden || ownTimes(), 60000);

window.mltrail = { ...window.mltrail, ownTimes };
