"use strict";
document.documentElement.classList.add("js");

// Figures: Plotly replaces the static images on screen; print uses the static ones.
for (const plot of document.querySelectorAll(".plot")) {
  const figure = JSON.parse(plot.nextElementSibling.textContent);
  Plotly.newPlot(plot, figure.data, figure.layout, {
    responsive: true,
    displaylogo: false,
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
  });
}

// A click on a heading sorts the table by that column; empty cells stay last.
for (const button of document.querySelectorAll("thead span")) {
  button.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    button.click();
  });
  button.addEventListener("click", () => {
    const heading = button.parentElement;
    const body = heading.closest("table").tBodies[0];
    const descending = heading.getAttribute("aria-sort") === "ascending";
    for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const key = (row) => row.cells[heading.cellIndex].dataset.sort ?? row.cells[heading.cellIndex].textContent;
    const compare = (a, b) => {
      if (a === "" || b === "") return (a === "") - (b === "");
      const order = a - b || (isNaN(a - b) ? a.localeCompare(b) : 0);
      return descending ? -order : order;
    };
    body.append(...[...body.rows].sort((a, b) => compare(key(a), key(b))));
  });
}

// Table of runs: filtered by words, or reduced to the runs behind one number.
const rows = [...document.querySelectorAll("#runs tbody tr")];
const filter = document.getElementById("filter");
const showAll = document.getElementById("show-all");

function show(isShown) {
  for (const row of rows) row.hidden = !isShown(row);
  const shown = rows.filter((row) => !row.hidden).length;
  document.getElementById("count").textContent = `${shown} of ${rows.length} runs`;
  showAll.hidden = shown === rows.length;
}

function showWords() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  show((row) => words.every((word) => row.textContent.toLowerCase().includes(word)));
}

filter.addEventListener("input", showWords);
showAll.addEventListener("click", () => {
  filter.value = "";
  showWords();
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-runs]");
  if (!link) return;
  const wanted = new Set(link.dataset.runs.split(" ").map((number) => `run-${number}`));
  filter.value = "";
  show((row) => wanted.has(row.id));
});

// page.html#filter=lightgcn+rate opens with the filter set.
function readAddress() {
  if (!location.hash.startsWith("#filter=")) return;
  filter.value = new URLSearchParams(location.hash.slice(1)).get("filter");
  showWords();
  document.getElementById("all-runs").scrollIntoView();
}
addEventListener("hashchange", readAddress);
readAddress();
