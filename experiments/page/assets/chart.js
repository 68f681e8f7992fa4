/* Parts that both charts use: check boxes with the sign of a searcher, and signs themselves. */

const around = (corners, turn) =>
  `M${Array.from({ length: corners }, (_, k) => {
    const angle = 2 * Math.PI * (k / corners + turn);
    return `${(8 + 6 * Math.sin(angle)).toFixed(2)} ${(8 - 6 * Math.cos(angle)).toFixed(2)}`;
  }).join("L")}z`;
const SHAPES = {
  circle: "M8 3a5 5 0 1 0 0.01 0z",
  square: "M3.5 3.5h9v9h-9z",
  diamond: around(4, 0),
  cross: "M6 2h4v4h4v4h-4v4H6v-4H2V6h4z",
  x: "M4 2l4 4 4-4 2 2-4 4 4 4-2 2-4-4-4 4-2-2 4-4-4-4z",
  star: "M8 1.5l2 4.5 5 .5-3.700 3.300 1 4.900L8 12.200l-4.300 2.500 1-4.900L1 6.500l5-.5z",
  "triangle-up": around(3, 0),
  "triangle-down": around(3, 1 / 2),
  "triangle-left": around(3, 3 / 4),
  "triangle-right": around(3, 1 / 4),
  "diamond-tall": "M8 1l4 7-4 7-4-7z",
  pentagon: around(5, 0),
  hexagon: around(6, 0),
  hexagon2: around(6, 1 / 12),
  octagon: around(8, 1 / 16),
};

const SVG = "http://www.w3.org/2000/svg";

/** An empty picture beside a name; `long` ones have room for a line. */
function emptySign(long) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${long ? 32 : 16} 16`);
  svg.setAttribute("class", long ? "swatch long" : "swatch");
  svg.setAttribute("aria-hidden", "true");
  return svg;
}

function addPath(svg, d, style) {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", d);
  Object.assign(path.style, style);
  svg.append(path);
}

/** The sign of a line alone; `dashes` in widths of the line. */
function dashedLine(dashes, stroke = "var(--soft)") {
  const svg = emptySign(true);
  const strokeDasharray = dashes.map((length) => 2 * length).join(" ") || "none";
  addPath(svg, "M0 8h32", { stroke, fill: "none", strokeWidth: "2", strokeDasharray });
  return svg;
}

/** A searcher's marker, on its line where there are lines. */
function swatch(searcher, { line = false } = {}) {
  const stroke = `var(--series-${searcher.colour + 1})`; // follows the scheme by the style sheet
  const svg = line ? dashedLine(searcher.dashes, stroke) : emptySign(false);
  addPath(svg, SHAPES[searcher.symbol], { stroke, fill: searcher.published ? "var(--card)" : stroke, strokeWidth: "1.5" });
  if (line) svg.lastChild.setAttribute("transform", "translate(10.4 2.4) scale(0.7)");
  return svg;
}

/** A labelled check box in a field set. */
function checkBox(fieldset, words, { checked = false, sign = null, changed }) {
  const box = element("input", { type: "checkbox", checked });
  box.addEventListener("change", () => changed(box.checked));
  fieldset.append(element("label", {}, box, ...(sign ? [sign] : []), words));
  fieldset.hidden = false;
  return box;
}
