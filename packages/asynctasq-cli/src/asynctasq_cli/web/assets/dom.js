// Makes and updates elements. All text passes through `visible`; none is ever parsed as HTML.

// control characters, bidirectional controls, and characters without a glyph
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;

export function visible(value) {
  return String(value).replace(UNPRINTABLE, (c) => {
    if (c === "\n") return c;
    if (c === "\t") return "    ";
    const code = c.codePointAt(0);
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
    return code < 0x10000
      ? `\\u${code.toString(16).padStart(4, "0")}`
      : `\\U${code.toString(16).padStart(8, "0")}`;
  });
}

export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(key, visible(value));
    }
  }
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    made.append(child instanceof Node ? child : visible(child));
  }
  return made;
}

// Changes a node's text only if it differs, to keep the user's selection.
export function say(node, value) {
  const text = visible(value);
  if (node.textContent !== text) node.textContent = text;
}

export function put(node, ...children) {
  node.replaceChildren(...children.filter((child) => child));
}

// Updates the children of `parent` to match `items`, reusing the elements of known items.
// `make(item)` returns an element with a method `update(item)`.
export function keep(parent, items, key, make) {
  const had = parent.kept ?? new Map();
  parent.kept = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    const name = key(item);
    if (parent.kept.has(name)) continue;
    const child = had.get(name) ?? make(item);
    had.delete(name);
    parent.kept.set(name, child);
    child.update(item);
    if (child === place) place = place.nextSibling;
    else parent.insertBefore(child, place);
  }
  for (const gone of had.values()) gone.remove();
}
