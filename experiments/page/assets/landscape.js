/* The landscape: every architecture a point, any two columns as axes and a third as colour. */

const Landscape = (() => {
  const { table } = Data;
  const chart = document.getElementById("landscape-chart");
  const state = { x: firstCost(), y: table.objective, colour: "", xLog: true, yLog: false, front: false, without: new Set(), finds: new Set() };
  const FEW = 2000; // points up to which they are drawn larger
  const STEP = 100; // points that page up and page down pass
  let traces = []; // positions on the page of each trace's points
  let shown = []; // positions of all points, and their order along both axes, made when first asked for
  let orders = {};
  let kind = "scattergl"; // of all traces: what is drawn as SVG would lie under the points
  let home = {}; // ranges that show everything, by axis
  let view = null; // ranges that the reader chose instead
  let axes = ""; // what the view is of
  const boxes = new Map(); // check boxes of what is left out or laid over, by their words in a link

  const column = (name) => Data.byName.get(name);

  /** MACs, or what else the table has that may stand across: a cost, a metric, an entry. */
  function firstCost() {
    const others = table.columns.filter((c) => c.known && c.name !== table.objective);
    const of = (kind) => others.find((c) => c.kind === kind);
    return (others.find((c) => c.name === "macs") ?? of("cost") ?? of("metric") ?? of("entry")).name;
  }

  const searchers = Data.races.flatMap((race) => race.searchers.map((searcher) => ({ ...searcher, objective: race.objective, queries: race.queries })));

  /** Whether this browser can draw with the graphics card; without, points are drawn as SVG. */
  function hasWebGL() {
    const canvas = document.createElement("canvas");
    return Boolean(canvas.getContext("webgl") || canvas.getContext("experimental-webgl"));
  }

  const discrete = (c) => c.kind === "entry" || c.kind === "flag";

  /** Where a point stands; columns of few values are spread sideways so that points do not hide each other. */
  function place(c, position) {
    const value = c.values[position];
    if (!discrete(c)) return value;
    const noise = ((Math.imul(position + 1, 2654435761) >>> 0) / 2 ** 32) - 0.5;
    const other = ((Math.imul(position + 1, 2246822519) >>> 0) / 2 ** 32) - 0.5;
    return value + 0.6 * (c.name === state.y ? other : noise);
  }

  const unit = (c) => (["", c.label, "parameters", "epoch"].includes(c.unit) ? "" : ` (${c.unit})`);
  const title = (c) => c.label + unit(c) + (discrete(c) ? ", points spread" : "");

  /** Range that shows all points; the chosen ring and the finds, which are larger, never change it. */
  function span(c, log) {
    let [low, high] = [Infinity, -Infinity];
    for (const position of shown) {
      const at = place(c, position);
      [low, high] = [Math.min(low, at), Math.max(high, at)];
    }
    if (low > high) return [0, 1];
    if (log) [low, high] = [Math.log10(low), Math.log10(high)];
    const margin = 0.05 * (high - low) || 0.5;
    return [low - margin, high + margin];
  }

  function axis(c, log, range) {
    const out = { ...Theme.axis(), title: { text: title(c), standoff: 8 }, range: [...range] };
    if (log) return { ...out, type: "log", ...(c.kind === "cost" ? costTicks(c) : { exponentformat: "SI" }) };
    if (c.kind === "entry") return { ...out, ...levels(c) };
    if (c.kind === "flag") return { ...out, tickvals: [0, 1], ticktext: ["no", "yes"] };
    return { ...out, exponentformat: "SI" };
  }

  const levels = (c) => ({ tickvals: Data.entries.get(c.name).places, ticktext: Data.entries.get(c.name).choices });

  /** Round counts between a column's least and largest, with their short names. */
  function costTicks(c) {
    const known = c.values.filter((value) => value > 0);
    const first = Math.floor(Math.log10(known.reduce((a, b) => Math.min(a, b))));
    const last = Math.ceil(Math.log10(known.reduce((a, b) => Math.max(a, b))));
    const tickvals = [];
    for (let power = first; power <= last; power += 1) tickvals.push(...[1, 2, 3, 5, 7].map((n) => n * 10 ** power));
    return { tickvals, ticktext: tickvals.map((value) => short(value)) };
  }

  /** Positions of the points that have both coordinates and no mark that is left out. */
  function visible() {
    const [x, y] = [column(state.x).values, column(state.y).values];
    const marks = [...state.without].map((name) => column(name).values);
    const out = [];
    for (let k = 0; k < Data.count; k += 1) {
      if (!Number.isNaN(x[k]) && !Number.isNaN(y[k]) && !marks.some((mark) => mark[k])) out.push(k);
    }
    return out;
  }

  function points(positions, marker) {
    const [x, y] = [column(state.x), column(state.y)];
    return {
      type: kind,
      mode: "markers",
      x: positions.map((k) => place(x, k)),
      y: positions.map((k) => place(y, k)),
      marker,
      hoverinfo: "none",
    };
  }

  function colourBar(c, narrow) {
    const bar = { title: { text: c.label, side: narrow ? "top" : "right" }, thickness: 12, outlinewidth: 0, tickfont: { size: 11 } };
    if (c.kind === "entry") Object.assign(bar, levels(c));
    if (c.kind === "flag") Object.assign(bar, { tickvals: [0, 1], ticktext: ["no", "yes"] });
    if (c.kind === "cost") bar.exponentformat = "SI";
    return narrow ? { ...bar, orientation: "h", y: 1, yanchor: "bottom", len: 1 } : bar;
  }

  function drawn() {
    const colour = column(state.colour);
    const narrow = chart.clientWidth < 560;
    shown = visible();
    orders = {};
    const known = shown.filter((k) => !Number.isNaN(colour.values[k]));
    const unknown = shown.filter((k) => Number.isNaN(colour.values[k]));
    const size = (shown.length < FEW ? 7 : 4.5) - (narrow ? 1 : 0);
    traces = [unknown, known];
    const out = [
      points(unknown, { color: Theme.value("absent"), size, opacity: 0.5 }),
      points(known, {
        color: known.map((k) => colour.values[k]),
        colorscale: Theme.scale(),
        showscale: true,
        colorbar: colourBar(colour, narrow),
        size,
        opacity: 0.75,
      }),
    ];
    const there = new Set(shown);
    const laid = searchers.filter((s) => state.finds.has(s)).sort((a, b) => b.published - a.published); // as published below
    for (const searcher of laid) {
      const kept = searcher.finds.at.map((_, k) => k).filter((k) => there.has(searcher.finds.at[k]));
      const positions = kept.map((k) => searcher.finds.at[k]);
      const [colour, ground] = [Theme.series(searcher.colour), Theme.value("card")];
      const line = searcher.published ? { color: colour, width: 2 } : { color: ground, width: 1.2 };
      const most = Math.max(...searcher.finds.runs);
      const sizes = kept.map((k) => 8 + 8 * Math.sqrt(searcher.finds.runs[k] / most));
      traces.push(positions);
      out.push(points(positions, { symbol: searcher.symbol, size: sizes, color: searcher.published ? ground : colour, line, opacity: 0.9 }));
    }
    if (state.front) {
      traces.push(front());
      out.push(stairs(traces.at(-1)));
    }
    traces.push([]);
    out.push(ring());
    return out;
  }

  /** Shown positions that no other beats on both axes, from left to right; none where an axis has no better end. */
  function front() {
    const [x, y] = [column(state.x), column(state.y)];
    const out = [];
    if (!x.better || !y.better || x === y) return out;
    const order = [...shown].sort((a, b) => x.better * (x.values[b] - x.values[a]) || y.better * (y.values[b] - y.values[a]));
    for (const k of order) {
      const last = out.at(-1);
      const equal = last !== undefined && x.values[k] === x.values[last] && y.values[k] === y.values[last];
      if (last === undefined || equal || y.better * (y.values[k] - y.values[last]) > 0) out.push(k);
    }
    return x.better > 0 ? out.reverse() : out;
  }

  /** The front as a line that holds up to the next point. */
  function stairs(positions) {
    const colour = Theme.value("text");
    const line = { color: colour, width: 1.5, shape: column(state.x).better > 0 ? "vh" : "hv" };
    return { ...points(positions, { color: colour, size: 6 }), mode: "lines+markers", line };
  }

  /** The chosen architecture. */
  function ring() {
    const position = Selection.position();
    const positions = position >= 0 && shown.includes(position) ? [position] : [];
    const marker = { symbol: "circle-open", size: 18, color: Theme.value("ring"), line: { width: 3, color: Theme.value("ring") } };
    return { ...points(positions, marker), hoverinfo: "skip" };
  }

  function layout() {
    const [x, y] = [column(state.x), column(state.y)];
    const now = [state.x, state.y, state.xLog, state.yLog].join();
    if (now !== axes) view = null;
    axes = now;
    home = { xaxis: span(x, state.xLog), yaxis: span(y, state.yLog) };
    const { xaxis, yaxis } = view ?? home;
    return { ...Theme.layout(), xaxis: axis(x, state.xLog, xaxis), yaxis: axis(y, state.yLog, yaxis), hovermode: "closest" };
  }

  /** Remember the view that the reader chose, so that it stays when something else is drawn. */
  function moved() {
    pointAtNothing();
    const { xaxis, yaxis } = chart.layout;
    const whole = String([xaxis.range, yaxis.range]) === String([home.xaxis, home.yaxis]);
    view = whole ? null : { xaxis: [...xaxis.range], yaxis: [...yaxis.range] };
    Link.changed();
  }

  async function draw() {
    await Plotly.react(chart, drawn(), layout(), { ...Theme.config, doubleClick: false });
    pointAtNothing();
    count();
    listBest();
  }

  function count() {
    const [x, y, colour] = [column(state.x), column(state.y), column(state.colour)];
    const parts = [`${grouped.format(shown.length)} of ${grouped.format(Data.count)} architectures`];
    for (const c of new Set([x, y])) {
      if (c.known < Data.count) parts.push(`${grouped.format(Data.count - c.known)} have no ${c.label}`);
    }
    if (state.front) parts.push(`${grouped.format(front().length)} are on the front`);
    if (traces[0].length) parts.push(`${grouped.format(traces[0].length)} without ${colour.label} are grey`);
    if (kind !== "scattergl") parts.push("drawn without WebGL, which this browser lacks: slower");
    document.getElementById("count").textContent = `${parts.join("; ")}.`;
  }

  /** The front, or the ten best of what is shown, by the vertical axis where it has a better end. */
  function listBest() {
    const by = column(state.y).better ? column(state.y) : column(table.objective);
    const others = [...new Set([column(state.x), column(state.y), column(state.colour)])].filter((c) => c !== by && !discrete(c));
    const ranked = () =>
      shown
        .filter((k) => !Number.isNaN(by.values[k]))
        .sort((a, b) => by.better * (by.values[b] - by.values[a]) || a - b)
        .slice(0, 10);
    const best = state.front ? front() : ranked();
    const heading = state.front ? `Front of ${column(state.y).label} and ${column(state.x).label}` : `Best by ${by.label}`;
    document.getElementById("best-heading").textContent = `${heading}, of what is shown`;
    const cell = (c, k) => element("td", {}, brief(c, c.values[k]));
    const rows = best.map((k) => {
      const button = element("button", { type: "button" }, Data.name(k));
      button.addEventListener("click", () => Selection.choose(k));
      return element("tr", {}, element("th", { scope: "row" }, button), ...[by, ...others].map((c) => cell(c, k)));
    });
    const heads = ["Architecture", ...[by, ...others].map((c) => c.label)];
    const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
    document.getElementById("best").replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows));
  }

  // -- pointing ----------------------------------------------------------------

  const tip = document.getElementById("tip");

  function showTip(event) {
    const { curveNumber, pointIndex } = event.points[0];
    const position = traces[curveNumber][pointIndex];
    if (position === undefined) return;
    const row = ([label, value]) => element("tr", {}, element("th", {}, label), element("td", {}, value));
    const found = Selection.reporters(position).map(([name, runs, all]) => [inWords(name), `${runs} of ${all} runs`]);
    const rows = [...Selection.summary(position), ...found].map(row);
    tip.replaceChildren(element("strong", {}, Data.name(position)), element("table", {}, element("tbody", {}, ...rows)));
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const { clientX, clientY } = event.event;
    const width = document.documentElement.clientWidth;
    const left = clientX + 16 + box.width > width ? Math.max(4, clientX - 16 - box.width) : clientX + 16;
    const top = Math.max(4, Math.min(clientY + 12, innerHeight - box.height - 4));
    tip.style.left = `${left + scrollX}px`;
    tip.style.top = `${top + scrollY}px`;
  }

  function hideTip() {
    tip.hidden = true;
  }

  /** Hide the tip where the points have moved; Plotly forgets too, or it would not tell of the same point again. */
  function pointAtNothing() {
    Plotly.Fx.unhover(chart);
    hideTip();
  }

  // -- keys --------------------------------------------------------------------

  /** Shown positions in ascending order of a column, and the place of each. */
  function order(name, tie) {
    if (!orders[name]) {
      const [first, second] = [column(name).values, column(tie).values];
      const list = [...shown].sort((a, b) => first[a] - first[b] || second[a] - second[b] || a - b);
      orders[name] = { list, at: new Map(list.map((position, k) => [position, k])) };
    }
    return orders[name];
  }

  function step(name, tie, by) {
    const { list, at } = order(name, tie);
    if (!list.length) return;
    const now = at.get(Selection.position());
    const next = now === undefined ? (by < 0 ? 0 : list.length - 1) : Math.min(list.length - 1, Math.max(0, now + by));
    Selection.choose(list[next]);
  }

  /** Change the view about its middle; 0 shows everything. */
  function zoom(factor) {
    const update = {};
    for (const name of ["xaxis", "yaxis"]) {
      const [low, high] = factor ? chart.layout[name].range : home[name];
      const [middle, half] = [(low + high) / 2, ((high - low) / 2) * factor];
      update[`${name}.range`] = factor ? [middle - half, middle + half] : [low, high];
    }
    return Plotly.relayout(chart, update);
  }

  const KEYS = {
    ArrowLeft: () => step(state.x, state.y, -1),
    ArrowRight: () => step(state.x, state.y, 1),
    ArrowDown: () => step(state.y, state.x, -1),
    ArrowUp: () => step(state.y, state.x, 1),
    PageDown: () => step(state.y, state.x, -STEP),
    PageUp: () => step(state.y, state.x, STEP),
    Home: () => step(state.y, state.x, -Infinity),
    End: () => step(state.y, state.x, Infinity),
    "+": () => zoom(0.5),
    "=": () => zoom(0.5),
    "-": () => zoom(2),
    0: () => zoom(0),
  };

  function pressed(event) {
    const act = KEYS[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  }

  /** All columns of the points in view. */
  function save() {
    const inside = ({ range, type }, value) => {
      const at = type === "log" ? Math.log10(value) : value;
      return range[0] <= at && at <= range[1];
    };
    const { xaxis, yaxis } = chart.layout;
    const [x, y] = [column(state.x), column(state.y)];
    const positions = shown.filter((k) => inside(xaxis, place(x, k)) && inside(yaxis, place(y, k)));
    const value = (c, k) => (c.kind === "entry" ? Data.level(c.name, c.values[k]) : c.values[k]);
    const lines = positions.map((k) => [Data.text(k), ...table.columns.map((c) => value(c, k))]);
    download(`${table.name}.csv`, "text/csv", csv([["arch", ...table.columns.map((c) => c.name)], ...lines]));
  }

  function chosen(position, announce) {
    Plotly.restyle(chart, (({ x, y }) => ({ x: [x], y: [y] }))(ring()), [traces.length - 1]);
    if (position < 0) return Selection.announce("The table has no entry of this architecture.");
    const axes = [...new Set([column(state.x), column(state.y), column(state.colour)])];
    const words = axes.map((c) => `${c.label} ${brief(c, c.values[position])}`).join(", ");
    const hidden = shown.includes(position) ? "" : " Not among the points shown.";
    if (announce) Selection.announce(`${Data.name(position)}: ${words}.${hidden}`);
    return undefined;
  }

  // -- controls ----------------------------------------------------------------

  const GROUPS = [
    ["Metrics", "metric"],
    ["Costs", "cost"],
    ["Entries of the vector", "entry"],
    ["Marks", "flag"],
  ];

  function choice(id, key) {
    const select = document.getElementById(id);
    for (const [words, kindOf] of GROUPS) {
      const options = table.columns.filter((c) => c.kind === kindOf && c.known).map((c) => new Option(c.label, c.name));
      if (options.length) select.append(element("optgroup", { label: words }, ...options));
    }
    select.value = state[key];
    select.addEventListener("change", () => {
      state[key] = select.value;
      allowLog();
      redraw();
    });
  }

  /** A logarithm is offered where it makes sense: for costs, losses and other positive measures. */
  function allowLog() {
    for (const [key, id] of [["x", "x-log"], ["y", "y-log"]]) {
      const box = document.getElementById(id);
      const c = column(state[key]);
      const sensible = !discrete(c) && c.unit !== "%" && c.values.every((v) => !(v <= 0));
      if (box.disabled && sensible) box.checked = c.kind === "cost";
      box.disabled = !sensible;
      box.checked = sensible && box.checked;
      state[`${key}Log`] = box.checked;
    }
    const box = document.getElementById("front");
    box.disabled = !column(state.x).better || !column(state.y).better || state.x === state.y;
    box.checked &&= !box.disabled;
    state.front = box.checked;
  }

  function redraw() {
    draw();
    Link.changed();
  }

  function remember(words) {
    const { x, y, colour } = state;
    Object.entries({ x, y, colour }).forEach(([key, name]) => words.set(key, name));
    for (const key of ["xLog", "yLog", "front"]) words.set(key, Number(state[key]));
    for (const [word, box] of boxes) if (box.checked) words.append("with", word);
    if (view) words.set("range", [...view.xaxis, ...view.yaxis].map((end) => Number(end.toPrecision(9))));
  }

  /** What a link says, as far as this page has it. */
  async function restore(words) {
    for (const [key, id] of [["x", "x-axis"], ["y", "y-axis"], ["colour", "colour"]]) {
      const select = document.getElementById(id);
      if ([...select.options].some((option) => option.value === words.get(key))) state[key] = select.value = words.get(key);
    }
    allowLog();
    for (const [key, id] of [["xLog", "x-log"], ["yLog", "y-log"], ["front", "front"]]) {
      document.getElementById(id).checked = words.get(key) === "1";
    }
    allowLog();
    for (const [word, box] of boxes) if (box.checked !== words.getAll("with").includes(word)) box.click();
    await draw();
    const ends = (words.get("range") ?? "").split(",").map(Number);
    if (ends.length === 4 && ends.every(Number.isFinite)) await Plotly.relayout(chart, ranges(ends.slice(0, 2), ends.slice(2)));
  }

  const ranges = (x, y) => ({ "xaxis.range": x, "yaxis.range": y });

  function controls() {
    choice("x-axis", "x");
    choice("y-axis", "y");
    choice("colour", "colour");
    for (const [key, id] of [["xLog", "x-log"], ["yLog", "y-log"], ["front", "front"]]) {
      const box = document.getElementById(id);
      box.checked = state[key];
      box.addEventListener("change", () => {
        state[key] = box.checked;
        redraw();
      });
    }
    allowLog();
    const toggle = (set, item) => (on) => {
      if (on) set.add(item);
      else set.delete(item);
      redraw();
    };
    for (const c of table.columns.filter((each) => each.doubt)) {
      const marked = c.values.reduce((sum, v) => sum + v, 0);
      const words = `${c.label} (${grouped.format(marked)})`;
      boxes.set(c.name, checkBox(document.getElementById("doubts"), words, { changed: toggle(state.without, c.name) }));
    }
    for (const searcher of searchers) {
      const words = inWords(searcher.name) + (Data.races.length > 1 ? `, by ${searcher.objective}` : "");
      const sign = swatch(searcher);
      const settings = { sign, checked: state.finds.has(searcher), changed: toggle(state.finds, searcher) };
      boxes.set(`${searcher.objective}:${searcher.queries}:${searcher.name}`, checkBox(document.getElementById("finds"), words, settings));
    }
    document.getElementById("landscape-controls").addEventListener("submit", (event) => event.preventDefault());
    document.getElementById("zoom-in").addEventListener("click", () => zoom(0.5));
    document.getElementById("zoom-out").addEventListener("click", () => zoom(2));
    document.getElementById("zoom-reset").addEventListener("click", () => zoom(0));
    for (const format of ["png", "svg"]) {
      document.getElementById(`save-${format}`).addEventListener("click", () =>
        Plotly.downloadImage(chart, { format, scale: 2, filename: `${table.name}-${state.y}-${state.x}` }),
      );
    }
    document.getElementById("save-csv").addEventListener("click", save);
  }

  /** First colour: what the test set says of what validation chose. */
  function firstColour() {
    const wished = ["test_pgd_acc", "test_cw_acc", "test_fgsm_acc", "test_clean_acc"].map(column);
    const metrics = table.columns.filter((c) => c.kind === "metric" && c.name !== state.y);
    const entries = table.columns.filter((c) => c.kind === "entry");
    return [...wished, ...metrics, column("params"), ...entries].find((c) => c && c.known && c.name !== state.y).name;
  }

  async function start() {
    if (!hasWebGL()) kind = "scatter";
    state.colour = firstColour();
    controls();
    await draw();
    chart.on("plotly_hover", showTip);
    chart.on("plotly_unhover", hideTip);
    chart.on("plotly_relayout", moved);
    chart.on("plotly_doubleclick", () => zoom(0));
    chart.on("plotly_click", (event) => {
      const position = traces[event.points[0].curveNumber][event.points[0].pointIndex];
      if (position !== undefined) Selection.choose(position);
    });
    chart.addEventListener("keydown", pressed);
    Selection.onChoice(chosen);
    Theme.onChange(draw);
    Link.part({ save: remember, restore });
  }

  return { start };
})();
