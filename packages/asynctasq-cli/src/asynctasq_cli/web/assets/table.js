// Tables that become cards on narrow screens; explicit roles survive that change of layout.
import { el, keep } from "./dom.js";

// Columns: { title, make(item) -> node, update(node, item), number, wide }
export function table(caption, columns, key) {
  const heads = columns.map((column) =>
    el("th", { scope: "col", role: "columnheader", class: kind(column) }, column.head ?? column.title),
  );
  const body = el("tbody", { role: "rowgroup" });
  const node = el(
    "table",
    { role: "table" },
    el("caption", { class: "hidden" }, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...heads)),
    body,
  );
  node.show = (items) => keep(body, items, key, (item) => row(columns, item));
  return node;
}

function row(columns, first) {
  const cells = columns.map((column) => {
    const inner = column.make(first);
    const cell = el(
      "td",
      { role: "cell", class: kind(column), "data-title": column.title },
      inner,
    );
    return { column, cell, inner };
  });
  const node = el("tr", { role: "row" }, ...cells.map(({ cell }) => cell));
  node.update = (item) => {
    for (const { column, cell, inner } of cells) column.update?.(inner, item, cell);
  };
  return node;
}

function kind(column) {
  return [column.number && "number", column.wide && "wide", column.class].filter(Boolean).join(" ");
}
