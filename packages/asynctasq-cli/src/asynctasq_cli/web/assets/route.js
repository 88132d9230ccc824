// Routes in the fragment of the URL, so that the server serves a single page.

export function to(...parts) {
  return `#/${parts.map((part) => encodeURIComponent(part)).join("/")}`;
}

export function here() {
  if (!location.hash.startsWith("#/")) return [];
  try {
    return location.hash.slice(2).split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    return []; // malformed
  }
}
