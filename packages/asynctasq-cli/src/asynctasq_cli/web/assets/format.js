// Formats counts, rates, durations and sizes.

const COUNT = new Intl.NumberFormat("en");

export function count(value) {
  return value === null || value === undefined ? "–" : COUNT.format(value);
}

export function rate(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size < 0.05) return "0";
  const digits = size < 10 ? 1 : 0;
  const sign = value > 0 ? "+" : "\u2212";
  return sign + size.toLocaleString("en", { maximumFractionDigits: digits });
}

const UNITS = [
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

// The two largest units: 2 h 5 min.
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  let left = Math.max(0, Math.round(seconds));
  if (left === 0) return "0 s";
  const first = UNITS.findIndex(([size]) => left >= size);
  const words = [];
  for (const [size, name] of UNITS.slice(first, first + 2)) {
    const amount = Math.floor(left / size);
    left -= amount * size;
    if (amount) words.push(`${amount} ${name}`);
  }
  return words.join(" ");
}

export function when(task) {
  const time = duration(Math.abs(task.seconds));
  switch (task.state) {
    case "ready":
      return `for ${time}`;
    case "delayed":
      return `in ${time}`;
    case "running":
      return task.seconds < 0 ? `lease expired ${time} ago` : `lease ends in ${time}`;
    default:
      return `${time} ago`;
  }
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

export function plural(number, singular, many = `${singular}s`) {
  return `${count(number)} ${number === 1 ? singular : many}`;
}

export const STATE_NAMES = { ready: "Ready", delayed: "Delayed", running: "Running", dead: "Dead" };
