/* Parts that both charts use: check boxes with the sign of a line, and signs themselves. */

const SYMBOLS = ["circle", "square", "diamond", "cross", "triangle-up", "x", "star"];
const DASHES = ["solid", "dash", "dashdot", "longdashdot", "8px,4px", "dot", "longdash"];
const SHAPES = {
  circle: "M8 3a5 5 0 1 0 0.01 0z",
  square: "M3.5 3.5h9v9h-9z",
  diamond: "M8 2l6 6-6 6-6-6z",
  cross: "M6 2h4v4h4v4h-4v4H6v-4H2V6h4z",
  "triangle-up": "M8 3l6 10H2z",
  x: "M4 2l4 4 4-4 2 2-4 4 4 4-2 2-4-4-4 4-2-2 4-4-4-4z",
  star: "M8 1.5l2 4.5 5 .5-3.700 3.300 1 4.900L8 12.200l-4.300 2.500 1-4.900L1 6.500l5-.5z",
};
const STROKES = { solid: "", dash: "5 3", dashdot: "5 2 1 2", longdashdot: "7 2 1 2", "8px,4px": "4 2", dot: "1 2", longdash: "7 3" };

/** Style of a searcher's line: of pairs the published one is dashed, otherwise each has its own. */
function dashOf(searcher, searchers) {
  if (searchers.some((other) => other.dashed !== searcher.dashed)) return searcher.dashed ? "dash" : "solid";
  return DASHES[searcher.colour];
}

/** Small picture beside a check box; its colour follows the scheme by the style sheet. */
function swatch(searcher, { symbol, dash }) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "swatch");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", symbol ? SHAPES[symbol] : "M0 8h16");
  path.style.fill = symbol && !searcher.dashed ? `var(--series-${searcher.colour + 1})` : "none";
  path.style.stroke = `var(--series-${searcher.colour + 1})`;
  path.style.strokeWidth = symbol ? "1.5" : "2.5";
  if (dash) path.setAttribute("stroke-dasharray", STROKES[dash]);
  svg.append(path);
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
