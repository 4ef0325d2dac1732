"use strict";
// A table that sorts by the column whose heading is pressed. A cell is a text, a number, or [number, text].

function fillTable(table, headings, rows) {
  const value = (cell) => (Array.isArray(cell) ? cell[0] : cell);
  const text = (cell) => (Array.isArray(cell) ? cell[1] : cell ?? "");
  const body = document.createElement("tbody");
  const fill = (sorted) => body.replaceChildren(...sorted.map((row) => {
    const line = document.createElement("tr");
    for (const cell of row) {
      const field = Object.assign(document.createElement("td"), { textContent: text(cell) });
      if (typeof cell === "string") field.className = cell.length > 14 ? "text" : "word";
      line.append(field);
    }
    return line;
  }));
  const head = document.createElement("tr");
  headings.forEach((heading, column) => {
    const field = document.createElement("th");
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: heading });
    button.addEventListener("click", () => {
      const down = field.getAttribute("aria-sort") === "ascending";
      for (const other of head.children) other.removeAttribute("aria-sort");
      field.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = (a, b) => {
        const [x, y] = [value(a[column]), value(b[column])];
        if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1; // what is not known comes last
        const sign = typeof x === "number" ? x - y : String(x).localeCompare(String(y));
        return down ? -sign : sign;
      };
      fill([...rows].sort(order));
    });
    if (rows.some((row) => typeof row[column] === "string")) field.className = "word"; // as its cells
    field.append(button);
    head.append(field);
  });
  const top = document.createElement("thead");
  top.append(head);
  table.replaceChildren(top, body);
  fill(rows);
  // a table that is wider than its place says so, and can be reached and scrolled by keyboard
  const place = table.closest(".scroll");
  if (!place) return;
  place.setAttribute("role", "region");
  place.setAttribute("aria-label", "table");
  new ResizeObserver(() => {
    const wide = place.scrollWidth > place.clientWidth;
    place.classList.toggle("wide", wide);
    if (wide) place.tabIndex = 0;
    else place.removeAttribute("tabindex");
  }).observe(place);
}
