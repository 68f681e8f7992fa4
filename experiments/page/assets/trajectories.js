/* Trajectories of a race: the best so far against queries, with bands and the optimum. */

const Trajectories = (() => {
  const WIDTH = 2.2; // of lines, in pixels
  const FROM = 9; // the first queries span a range of their own and are left partly out of view

  function start(race, number) {
    const key = `race-${number}`;
    const chart = document.getElementById(`${key}-chart`);
    const hasOthers = race.searchers.some((searcher) => !searcher.published);
    const lines = race.searchers.map((searcher) => ({
      ...searcher,
      bands: Object.fromEntries(Object.entries(searcher.bands).map(([name, packed]) => [name, unpack(packed)])),
      shown: !(searcher.published && hasOthers),
    }));
    const references = [{ name: "random search, exact mean", dash: "dot", dashes: [1, 2], values: unpack(race.random) }];
    if (race.noSearch) {
      const [baseline, level] = race.noSearch;
      const values = references[0].values.map(() => level);
      references.push({ name: `no search: ${baseline}, mean`, dash: "dashdot", dashes: [4, 2, 1, 2], values });
    }
    const state = { band: "mean", scale: "value" };
    const sign = race.maximize ? 1 : -1;
    const asShown = (value) => (state.scale === "value" ? value : Math.max(0, sign * (race.optimum - value)));

    /** Centre and edges of a line; the lower edge of a regret comes from the better edge of the value. */
    function edges(line) {
      const names = state.band === "mean" ? ["mean", "mean_low", "mean_high"] : ["median", "run_low", "run_high"];
      const [centre, low, high] = names.map((name) => Array.from(line.bands[name], asShown));
      return state.scale === "regret" && race.maximize ? [centre, high, low] : [centre, low, high];
    }

    function draw() {
      const seen = lines.filter((line) => line.shown).map((line) => [line, edges(line)]);
      const regret = state.scale === "regret";
      const positive = seen.flatMap(([, [centre]]) => centre).filter((value) => value > 0);
      const floor = regret && positive.length ? Math.min(...positive) / 2 : -Infinity;
      const cut = (values) => values.map((value) => Math.max(value, floor));
      const open = (values) => values.map((value) => (regret && value <= 0 ? null : value));
      const traces = [];
      for (const [line, [centre, low, high]] of seen) {
        const x = centre.map((_, k) => k + 1);
        const colour = Theme.series(line.colour);
        const edge = { type: "scatter", mode: "lines", x, line: { width: 0 }, hoverinfo: "skip" };
        traces.push({ ...edge, y: cut(low) });
        traces.push({ ...edge, y: cut(high), fill: "tonexty", fillcolor: Theme.faded(colour, 0.2) });
      }
      for (const [line, [centre]] of seen) {
        traces.push({
          type: "scatter",
          mode: "lines+markers",
          name: inWords(line.name),
          x: centre.map((_, k) => k + 1),
          y: open(centre),
          text: open(centre).map(inDigits),
          line: { color: colourOf(line), width: WIDTH, dash: line.dashes.map((length) => `${WIDTH * length}px`).join() || "solid" },
          marker: { ...marker(line), size: 8, maxdisplayed: 8 },
          hovertemplate: "%{text}",
        });
      }
      const soft = Theme.value("soft");
      for (const { name, dash, values } of references) {
        const shown = Array.from(values, asShown);
        traces.push({
          type: "scatter",
          mode: "lines",
          name,
          x: shown.map((_, k) => k + 1),
          y: open(shown),
          text: open(shown).map(inDigits),
          line: { color: soft, width: 1.5, dash },
          hovertemplate: "%{text}",
        });
      }
      Plotly.react(chart, traces, layout(seen, regret, floor), Theme.config);
    }

    const marker = (line) => ({
      symbol: line.symbol,
      color: line.published ? Theme.value("card") : colourOf(line),
      opacity: 1,
      line: { color: colourOf(line), width: 1.5 },
    });
    const colourOf = (line) => Theme.series(line.colour);

    function layout(seen, regret, floor) {
      const soft = Theme.value("soft");
      const out = {
        ...Theme.layout(),
        hovermode: "x unified",
        xaxis: { ...Theme.axis(), title: { text: "architectures queried", standoff: 8 }, range: [1, Math.max(race.queries, 2)] },
        yaxis: { ...Theme.axis(), title: { text: regret ? `regret: distance to ${race.optimum}` : race.label, standoff: 8 } },
      };
      if (regret) {
        out.yaxis.type = "log";
        const top = Math.max(2 * floor, ...seen.flatMap(([, [, , high]]) => inView(high)));
        if (floor > 0) out.yaxis.range = [Math.log10(floor), Math.log10(top)];
        return out;
      }
      const all = seen.flatMap(([, [, low, high]]) => [...inView(low), ...inView(high)]);
      if (all.length) {
        const flat = race.noSearch ? [race.optimum, race.noSearch[1]] : [race.optimum];
        const [least, most] = [Math.min(...all, ...flat), Math.max(...all, ...flat)];
        const margin = 0.05 * (most - least) || 0.5;
        out.yaxis.range = [least - margin, most + margin];
      }
      out.shapes = [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: race.optimum, y1: race.optimum, line: { color: soft, width: 1 } }];
      out.annotations = [
        {
          xref: "paper",
          x: 0.01,
          y: race.optimum,
          xanchor: "left",
          yanchor: race.maximize ? "top" : "bottom",
          text: `optimum of the table, ${Number(race.optimum.toPrecision(6))}`,
          showarrow: false,
          font: { size: 12, color: soft },
        },
      ];
      return out;
    }

    const inView = (values) => values.slice(Math.min(FROM, values.length - 1));

    const box = document.getElementById(`${key}-lines`);
    for (const line of lines) {
      checkBox(box, inWords(line.name), {
        checked: line.shown,
        sign: swatch(line, { line: true }),
        changed: (on) => {
          line.shown = on;
          draw();
        },
      });
    }
    for (const { name, dashes } of references) box.append(element("span", {}, dashedLine(dashes), name));
    for (const name of ["band", "scale"]) {
      const select = document.getElementById(`${key}-${name}`);
      select.addEventListener("change", () => {
        state[name] = select.value;
        draw();
      });
    }
    document.getElementById(`${key}-controls`).addEventListener("submit", (event) => event.preventDefault());
    draw();
    Theme.onChange(draw);
  }

  return { start };
})();
