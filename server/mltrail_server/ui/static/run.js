"use strict";
// A run's page: names are found while one types.
(() => {
  // Hides the rows whose name does not contain what is typed; without scripts, and with Enter, the server searches.
  for (const input of document.querySelectorAll("input[data-find]")) {
    const rows = [...document.getElementById(input.dataset.find).querySelectorAll("[data-name]")];
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase();
      for (const row of rows) row.hidden = !row.dataset.name.toLowerCase().includes(words);
    });
  }
})();
