"use strict";
// The page is whole without this: it only hides what is not looked for.
(() => {
  const bar = document.getElementById("filter");
  if (!bar) return;
  bar.hidden = false;
  const text = bar.querySelector("input[type=search]");
  const bad = bar.querySelector("input[type=checkbox]");
  const rows = [...document.querySelectorAll("[data-state]")].map((row) => ({
    row, state: row.dataset.state, text: row.textContent.toLowerCase(),
  }));
  const fine = new Set(["held", "open", "closed", "skipped"]);
  const apply = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const { row, state, text } of rows) {
      row.hidden = (bad.checked && fine.has(state)) || !words.every((word) => text.includes(word));
    }
    for (const box of document.querySelectorAll("details[data-rows]")) {
      const shown = [...box.querySelectorAll("[data-state]")].some((row) => !row.hidden);
      box.hidden = !shown;
      if (words.length || bad.checked) box.open = shown;
    }
  };
  text.addEventListener("input", apply);
  bad.addEventListener("change", apply);
  const reveal = () => {
    const at = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!at) return;
    for (let box = at.closest("details"); box; box = box.parentElement.closest("details")) {
      box.hidden = false;
      box.open = true;
    }
    at.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();
})();
