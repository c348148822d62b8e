"use strict";
// Search from any page: Ctrl-K or the header's button opens a dialog. Without this script, the header has a form.
// The field follows the pattern of a combobox with a list: https://www.w3.org/WAI/ARIA/apg/patterns/combobox/

(() => {
  const form = document.querySelector("form[data-search]");
  if (!form || !window.HTMLDialogElement) return;
  const MAC = /Mac|iPhone|iPad/.test(navigator.platform);
  const WAIT_MS = 150;
  const project = form.elements.project ? form.elements.project.value : "";

  function element(name, attributes, ...content) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...content);
    return made;
  }

  const opener = element("button", { type: "button", class: "opener", "aria-keyshortcuts": "Control+K Meta+K", "aria-haspopup": "dialog" });
  const symbol = form.querySelector("button .icon");
  if (symbol) opener.append(symbol.cloneNode(true));
  opener.append(element("span", {}, "Search"), element("kbd", { "aria-hidden": "true" }, MAC ? "⌘K" : "Ctrl K"));
  form.replaceWith(opener);

  const input = element("input", {
    type: "text", role: "combobox", "aria-label": "Search", "aria-expanded": "false", "aria-controls": "search-hits", "aria-autocomplete": "list",
    placeholder: "Experiment, run, model, !merge request, #pipeline, commit", maxlength: "200", autocomplete: "off", spellcheck: "false", autofocus: "",
  });
  const list = element("div", { id: "search-hits", role: "listbox", "aria-label": "Results" });
  const said = element("p", { class: "hint", role: "status" });
  const close = element("button", { type: "button", class: "quiet", title: "Close" }, "Esc");
  const dialog = element("dialog", { class: "search", "aria-label": "Search" }, element("div", { class: "field" }, input, close), list, said);
  document.body.append(dialog);

  let options = [];
  let chosen = -1;
  let timer = 0;
  let asking = null;

  function choose(place) {
    if (!options.length) return;
    chosen = (place + options.length) % options.length;
    options.forEach((option, number) => option.setAttribute("aria-selected", String(number === chosen)));
    input.setAttribute("aria-activedescendant", options[chosen].id);
    options[chosen].scrollIntoView({ block: "nearest" });
  }

  function clear(text) {
    list.replaceChildren();
    options = [];
    chosen = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    said.textContent = text;
  }

  function option(hit) {
    const place = options.length;
    const rest = [hit.detail, hit.project].filter(Boolean).join(" · ");
    const made = element("a", { id: `search-hit-${place}`, role: "option", "aria-selected": "false", tabindex: "-1", href: hit.url },
      element("span", { class: "name" }, hit.title), element("span", { class: "rest" }, rest));
    made.addEventListener("mousemove", () => { if (chosen !== place) choose(place); });
    options.push(made);
    return made;
  }

  function show(answer) {
    clear("");
    answer.groups.forEach((group, number) => {
      const title = element("div", { id: `search-kind-${number}`, class: "kind", role: "presentation" }, group.kind);
      list.append(element("div", { role: "group", "aria-labelledby": title.id }, title, ...group.hits.map(option)));
    });
    input.setAttribute("aria-expanded", String(options.length > 0));
    const count = options.length === 1 ? "1 result" : `${options.length} results`;
    const more = answer.groups.some((group) => group.more) ? ", the best of each kind; Ctrl+Enter shows more" : "";
    said.textContent = [options.length ? `${count}${more}.` : "Nothing found.", ...answer.notes].join(" ");
    choose(0);
  }

  const words = () => new URLSearchParams(project ? { q: input.value.trim(), project } : { q: input.value.trim() });

  async function ask() {
    if (asking) asking.abort();
    const mine = new AbortController();
    asking = mine;
    try {
      const answer = await fetch(`${form.dataset.search}?${words()}`, { signal: mine.signal, headers: { Accept: "application/json" } });
      if (asking !== mine) return;
      if (answer.ok) show(await answer.json());
      else clear(answer.status === 401 ? "You are signed out. Load the page again to sign in." : "The search failed. Try again in a moment.");
    } catch (error) {
      if (error.name !== "AbortError") clear("The server does not respond.");
    }
  }

  function open() {
    if (dialog.open) return;
    dialog.showModal();
    input.focus();
    input.select();
  }

  opener.addEventListener("click", open);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => {
    clearTimeout(timer);
    if (asking) asking.abort();
  });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      open();
    }
  });
  input.addEventListener("input", () => {
    clearTimeout(timer);
    if (asking) asking.abort();
    if (input.value.trim().length < 2) return clear("");
    timer = setTimeout(ask, WAIT_MS);
  });
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen < 0 ? -1 : chosen - 1);
    else if (event.key === "Home" && event.ctrlKey) choose(0);
    else if (event.key === "End" && event.ctrlKey) choose(options.length - 1);
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) window.location.assign(`${form.getAttribute("action")}?${words()}`);
    else if (event.key === "Enter" && chosen >= 0) options[chosen].click();
    else if (event.key === "Enter") window.location.assign(`${form.getAttribute("action")}?${words()}`);
    else return;
    event.preventDefault();
  });
})();
