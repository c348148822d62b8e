"use strict";
// Small helps for pages that work without them: copy buttons, menus that close, a filter that completes names.

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

const PLAIN = /^[\w-]+(\.[\w-]+)*$/;

function namesOf(keys) {
  const quoted = (key) => (PLAIN.test(key) ? key : "`" + key + "`");
  return [
    ...keys.metrics.map((key) => "metrics." + quoted(key)),
    ...keys.params.map((key) => "params." + quoted(key)),
    ...keys.attributes,
  ];
}

// Follows the pattern of a combobox with a list: https://www.w3.org/WAI/ARIA/apg/patterns/combobox/
function complete(input) {
  const names = namesOf(JSON.parse(document.getElementById(input.dataset.keys).textContent));
  const holder = document.createElement("div");
  holder.className = "combo";
  input.replaceWith(holder);
  const list = document.createElement("ul");
  list.className = "suggest";
  list.id = input.id + "-list";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Names to filter by");
  list.hidden = true;
  holder.append(input, list);
  const attributes = { role: "combobox", "aria-autocomplete": "list", "aria-controls": list.id, "aria-expanded": "false" };
  for (const [name, value] of Object.entries(attributes)) input.setAttribute(name, value);
  let chosen = -1;

  const word = () => /[^\s()]*$/.exec(input.value.slice(0, input.selectionStart))[0];

  function close() {
    list.hidden = true;
    chosen = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function choose(place) {
    chosen = (place + list.children.length) % list.children.length;
    [...list.children].forEach((item, number) => item.setAttribute("aria-selected", String(number === chosen)));
    input.setAttribute("aria-activedescendant", list.children[chosen].id);
    list.children[chosen].scrollIntoView({ block: "nearest" });
  }

  function take(name) {
    const end = input.selectionStart;
    const start = end - word().length;
    input.setRangeText(name + " ", start, end, "end");
    close();
    input.focus();
  }

  function open() {
    const typed = word().toLowerCase();
    const found = typed ? names.filter((name) => name.toLowerCase().includes(typed)).slice(0, 12) : [];
    if (!found.length || found[0] === typed) return close();
    list.replaceChildren(
      ...found.map((name, number) => {
        const item = document.createElement("li");
        item.id = `${list.id}-${number}`;
        item.setAttribute("role", "option");
        item.textContent = name;
        item.addEventListener("mousedown", (event) => {
          event.preventDefault();
          take(name);
        });
        return item;
      }),
    );
    list.style.top = input.offsetHeight + "px";
    list.hidden = false;
    chosen = -1;
    input.setAttribute("aria-expanded", "true");
  }

  input.addEventListener("input", open);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen < 0 ? -1 : chosen - 1);
    else if ((event.key === "Enter" || event.key === "Tab") && chosen >= 0) take(list.children[chosen].textContent);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  });
}

for (const input of document.querySelectorAll("input[data-keys]")) complete(input);
