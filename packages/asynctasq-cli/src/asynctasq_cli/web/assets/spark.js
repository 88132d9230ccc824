// A sparkline of recent counts, as SVG.

const NS = "http://www.w3.org/2000/svg";
const WIDTH = 112;
const HEIGHT = 28;
const POINTS = 60;

export function spark() {
  const node = document.createElementNS(NS, "svg");
  node.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  node.setAttribute("width", WIDTH);
  node.setAttribute("height", HEIGHT);
  node.setAttribute("preserveAspectRatio", "none");
  node.setAttribute("class", "spark");
  node.setAttribute("aria-hidden", "true"); // the numbers are beside it
  const base = document.createElementNS(NS, "path");
  base.setAttribute("class", "base");
  base.setAttribute("d", `M0 ${HEIGHT - 1}H${WIDTH}`);
  const area = document.createElementNS(NS, "path");
  area.setAttribute("class", "area");
  const line = document.createElementNS(NS, "path");
  line.setAttribute("class", "line");
  node.append(base, area, line);
  node.draw = (counts) => {
    const points = places(counts);
    const path = points.map(([x, y], n) => `${n ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
    line.setAttribute("d", path);
    const [first, last] = [points[0], points[points.length - 1]];
    const closed = `${path}L${last?.[0].toFixed(1)} ${HEIGHT}L${first?.[0].toFixed(1)} ${HEIGHT}Z`;
    area.setAttribute("d", points.length > 1 ? closed : "");
  };
  return node;
}

// The latest count at the right edge; the highest near the top, 0 at the bottom.
function places(counts) {
  const top = Math.max(1, ...counts);
  const step = WIDTH / (POINTS - 1);
  const left = WIDTH - step * (counts.length - 1);
  return counts.map((value, n) => [left + n * step, HEIGHT - 1.5 - (value / top) * (HEIGHT - 4)]);
}
