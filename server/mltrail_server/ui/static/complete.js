"use strict";
// Completes names and values in a search box, `input[data-keys]`. Its value names a script of JSON: `metrics`, `params`,
// `attributes`, and `values` by name. Enter without a choice searches for what was typed.
{
  const PLAIN = /^[\w-]+(\.[\w-]+)*$/;
  const MOST = 12;
  const TIMES = ["last 24 hours", "last 7 days", "last 30 days"];
  // name, operator, and the beginning of a value
  const VALUE = /([\w.-]+|[\w]+\.`[^`]*`)\s*(!?=|[<>]=?|\bI?LIKE\b)\s*(['"]?)([^'"()]*)$/i;
  const WORD = /[^\s()'"]*$/;

  const quoted = (key) => (PLAIN.test(key) ? key : "`" + key + "`");
  const bare = (name) => name.replaceAll("`", "").toLowerCase();

  function namesOf(keys) {
    const named = (kind, prefix, list) => list.map((key) => ({ key, text: prefix + quoted(key), kind }));
    return [
      ...named("metric", "metrics.", keys.metrics),
      ...named("parameter", "params.", keys.params),
      ...keys.attributes.map((key) => ({ key, text: key, kind: "" })),
    ];
  }

  // How well a name fits what was typed; 0 is best, and null that it does not.
  function rank(name, typed) {
    const text = bare(name.text);
    const key = name.key.toLowerCase();
    if (key.startsWith(typed) || text.startsWith(typed)) return 0;
    const at = key.indexOf(typed);
    if (at > 0) return /[a-z0-9]/.test(key[at - 1]) ? 2 : 1;
    return text.includes(typed) ? 3 : null;
  }

  function found(names, typed) {
    const wanted = bare(typed);
    return names
      .map((name) => ({ name, place: rank(name, wanted) }))
      .filter(({ place }) => place !== null)
      .sort((one, other) => one.place - other.place)
      .map(({ name }) => name);
  }

  // What may be written at the cursor: {from, to, items}. An item has `text`, a `kind` to be shown, and perhaps `more`.
  function suggestions(input, names, values) {
    const at = input.selectionStart;
    const before = input.value.slice(0, at);
    const after = input.value.slice(at);
    const value = VALUE.exec(before);
    if (value) {
      const known = values[value[1].replaceAll("`", "")] || [];
      const typed = value[4].toLowerCase();
      const items = known
        .filter((one) => one.toLowerCase().includes(typed) && one !== value[4])
        .map((one) => ({ text: one.includes("'") ? `"${one}"` : `'${one}'`, kind: "value" }));
      const rest = /^[^'"\s()]*['"]?/.exec(after)[0].length;
      if (items.length || value[3]) return { from: at - value[4].length - value[3].length, to: at + rest, items };
    }
    const typed = WORD.exec(before)[0];
    const to = at + /^[\w.\-/`]*/.exec(after)[0].length;
    if (!typed && before.trim()) return { from: at, to, items: [] };
    const times = TIMES.filter((one) => one.startsWith(typed.toLowerCase())).map((text) => ({ text, kind: "time" }));
    const items = typed ? [...found(names, typed), ...times] : [...times, ...names];
    return { from: at - typed.length, to, items: items.filter((one) => one.text !== typed) };
  }

  // Follows the pattern of a combobox with a list: https://www.w3.org/WAI/ARIA/apg/patterns/combobox/
  function complete(input) {
    const keys = JSON.parse(document.getElementById(input.dataset.keys).textContent);
    const names = namesOf(keys);
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
    let here = { from: 0, to: 0, items: [] };

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

    function take(item) {
      input.setRangeText(item.text + " ", here.from, here.to, "end");
      close();
      input.focus();
    }

    function option(item, number) {
      const element = document.createElement("li");
      element.id = `${list.id}-${number}`;
      element.setAttribute("role", "option");
      const kind = document.createElement("span");
      kind.className = "kind";
      kind.textContent = item.kind;
      element.append(item.text, kind);
      element.addEventListener("mousedown", (event) => {
        event.preventDefault();
        take(item);
      });
      return element;
    }

    function open() {
      here = suggestions(input, names, keys.values || {});
      here.items = here.items.slice(0, MOST);
      if (!here.items.length) return close();
      list.replaceChildren(...here.items.map(option));
      list.style.top = input.offsetHeight + "px";
      list.hidden = false;
      chosen = -1;
      input.removeAttribute("aria-activedescendant");
      input.setAttribute("aria-expanded", "true");
    }

    input.addEventListener("input", () => (input.value.trim() ? open() : close()));
    input.addEventListener("blur", close);
    input.addEventListener("keydown", (event) => {
      if (list.hidden) {
        if (event.key !== "ArrowDown") return;
        open();
        if (!list.hidden) choose(0);
      } else if (event.key === "ArrowDown") choose(chosen + 1);
      else if (event.key === "ArrowUp") choose(chosen < 0 ? -1 : chosen - 1);
      else if ((event.key === "Enter" || event.key === "Tab") && chosen >= 0) take(here.items[chosen]);
      else if (event.key === "Escape") close();
      else return;
      event.preventDefault();
    });
  }

  for (const input of document.querySelectorAll("input[data-keys]")) complete(input);
}
