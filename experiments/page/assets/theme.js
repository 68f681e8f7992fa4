/* Colours of the pictures, taken from the style sheet, and what all of them share. */

const Theme = (() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const listeners = [];
  const tell = () => listeners.forEach((listener) => listener());
  /** Paper is white, whatever the screen is. */
  const onPaper = (yes) => () => {
    document.documentElement.classList.toggle("paper", yes);
    tell();
  };
  dark.addEventListener("change", tell);
  addEventListener("beforeprint", onPaper(true));
  addEventListener("afterprint", onPaper(false));

  /** Value of a custom property of the page. */
  const value = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const series = (number) => value(`series-${number + 1}`);

  /** Plotly's form of the scale for values, dark to light on either ground so that high values stand out. */
  function scale() {
    const colours = value("scale").split(/\s+/);
    return colours.map((colour, k) => [k / (colours.length - 1), colour]);
  }

  /** `#rrggbb` with an opacity. */
  function faded(colour, opacity) {
    const [red, green, blue] = [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));
    return `rgba(${red}, ${green}, ${blue}, ${opacity})`;
  }

  const axis = () => ({
    gridcolor: value("grid"),
    linecolor: value("line"),
    tickcolor: value("line"),
    zeroline: false,
    showline: true,
    ticks: "outside",
    ticklen: 4,
    automargin: true,
    title: { standoff: 8 },
  });

  const layout = () => ({
    paper_bgcolor: "rgba(0, 0, 0, 0)",
    plot_bgcolor: "rgba(0, 0, 0, 0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: value("text") },
    margin: { l: 56, r: 16, t: 16, b: 48 },
    showlegend: false,
    hoverlabel: { bgcolor: value("card"), bordercolor: value("line"), font: { color: value("text"), size: 12 } },
    // A finger scrolls the page; a mouse draws the frame of a closer view.
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
  });

  const config = { displayModeBar: false, responsive: true, doubleClick: "reset", scrollZoom: false };

  return { axis, layout, config, value, series, scale, faded, onChange: (listener) => listeners.push(listener) };
})();
