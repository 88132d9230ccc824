// Tables that become cards on a narrow screen; roles are named, as such layouts take them away.
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
  const node = el("tr", { role: "row" }, ...cells.map((one) => one.cell));
  node.update = (item) => {
    for (const { column, cell, inner } of cells) column.update?.(inner, item, cell);
  };
  return node;
}

function kind(column) {
  return [column.number && "number", column.wide && "wide", column.class].filter(Boolean).join(" ");
}
