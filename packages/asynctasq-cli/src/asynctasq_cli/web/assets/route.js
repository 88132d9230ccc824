// Views by the part of the address behind #, so that the server needs to know one page only.

export function to(...parts) {
  return `#/${parts.map((part) => encodeURIComponent(part)).join("/")}`;
}

export function here() {
  if (!location.hash.startsWith("#/")) return [];
  try {
    return location.hash.slice(2).split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    return []; // not written by us
  }
}
