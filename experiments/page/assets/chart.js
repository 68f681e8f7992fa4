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

/** Small picture beside a check box: a searcher's marker, on its line where there are lines. */
function swatch(searcher, { line = false } = {}) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const colour = `var(--series-${searcher.colour + 1})`; // follows the scheme by the style sheet
  const width = line ? 32 : 16;
  const draw = (d, style) => {
    const path = document.createElementNS(space, "path");
    path.setAttribute("d", d);
    Object.assign(path.style, { stroke: colour, ...style });
    svg.append(path);
  };
  svg.setAttribute("viewBox", `0 0 ${width} 16`);
  svg.setAttribute("class", line ? "swatch long" : "swatch");
  svg.setAttribute("aria-hidden", "true");
  if (line) {
    const dashes = searcher.dashes.map((length) => 2 * length).join(" ");
    draw("M0 8h32", { fill: "none", strokeWidth: "2", strokeDasharray: dashes || "none" });
  }
  draw(SHAPES[searcher.symbol], { fill: searcher.published ? "var(--card)" : colour, strokeWidth: "1.5" });
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
