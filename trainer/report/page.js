"use strict";
for (const table of document.querySelectorAll("table")) {
  const heads = table.tHead.rows[0].cells;
  Array.from(heads).forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = table.tBodies[0];
      const value = (row) => {
        const text = row.cells[column].textContent;
        const number = Number.parseFloat(text);
        return column === 0 || Number.isNaN(number) ? text : number;
      };
      const order = (a, b) => {
        const [first, second] = [value(a), value(b)];
        const words = typeof first === "string" || typeof second === "string";
        const apart = words
          ? String(first).localeCompare(String(second), undefined, { numeric: true })
          : first - second;
        return down ? -apart : apart;
      };
      for (const row of Array.from(body.rows).sort(order)) body.append(row);
    });
  });
}
