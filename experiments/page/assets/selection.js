/* The architecture in the reader's hand: chosen by number, in the plot or in the list of the best. */

const Selection = (() => {
  const { table } = Data;
  const listeners = [];
  const selects = [];
  let chosen = -1;

  /** Searchers whose runs reported an architecture: `[name, runs, all runs]`. */
  function reporters(position) {
    const out = [];
    for (const race of Data.races) {
      for (const searcher of race.searchers) {
        const k = searcher.finds.at.indexOf(position);
        if (k >= 0) out.push([inWords(searcher.name), searcher.finds.runs[k], searcher.runs]);
      }
    }
    return out;
  }

  const values = () => table.columns.filter((column) => column.kind === "cost" || column.kind === "metric");

  /** Rows of name and value, for the tip; what is missing is left out. */
  function summary(position) {
    return values()
      .filter((column) => !Number.isNaN(column.values[position]))
      .map((column) => [column.label, brief(column, column.values[position])]);
  }

  function copier(words, what) {
    const button = element("button", { type: "button" }, words);
    button.addEventListener("click", async () => {
      const text = typeof what === "string" ? what : what();
      await copy(text);
      button.focus(); // which the way around the clipboard takes
      announce(`Copied: ${text}`);
      button.textContent = "Copied";
    });
    return button;
  }

  function show(position) {
    const body = element("tbody");
    for (const column of values()) {
      const value = column.values[position];
      const rank = Data.rank(column, value);
      body.append(
        element(
          "tr",
          {},
          element("th", { scope: "row", title: column.about }, column.label),
          element("td", {}, brief(column, value)),
          element("td", {}, rank ? `${grouped.format(rank.place)} of ${grouped.format(rank.of)}` : ""),
        ),
      );
    }
    const head = element("thead", {}, element("tr", {}, ...["", "Value", "Rank"].map((text) => element("th", { scope: "col" }, text))));
    const marks = table.columns.filter((column) => column.kind === "flag" && column.values[position] === 1);
    document.getElementById("selection").replaceChildren(
      element("p", {}, element("strong", {}, Data.name(position)), ` arch_id ${Data.byName.get("arch_id").values[position]}`),
      element("div", { className: "tools" }, copier("Copy", Data.text(position)), copier("Copy link", Link.whole)),
      ...(marks.length ? [element("p", { className: "hint" }, `Marked ${marks.map((column) => column.name).join(", ")}.`)] : []),
      element("table", {}, head, body),
      ...reporters(position).map(([name, runs, all]) => element("p", { className: "hint" }, `Reported by ${runs} of ${all} runs of ${name}.`)),
    );
  }

  /** Choose an architecture; the listeners draw it. */
  function choose(position, { announce = true } = {}) {
    chosen = position;
    document.getElementById("no-entry").hidden = position >= 0;
    if (position >= 0) {
      Data.vector(position).forEach((value, k) => (selects[k].value = value));
      show(position);
    } else {
      document.getElementById("selection").replaceChildren();
    }
    listeners.forEach((listener) => listener(position, announce));
    if (announce) Link.changed();
  }

  function announce(text) {
    document.getElementById("announcement").textContent = text;
  }

  function start() {
    const form = document.getElementById("entries");
    form.classList.toggle("long", table.entries.some((entry) => [entry.name, ...entry.choices].some((word) => word.length > 3)));
    for (const entry of table.entries) {
      const select = element("select", { id: `entry-${entry.name}` }, ...entry.choices.map((value) => new Option(value, value)));
      select.addEventListener("change", () => choose(Data.find(selects.map((other) => other.value))));
      selects.push(select);
      form.append(element("label", {}, entry.name, select));
    }
    form.addEventListener("submit", (event) => event.preventDefault());
    Link.part({
      save: (words) => chosen >= 0 && words.set("arch", Data.text(chosen)),
      restore: (words) => words.has("arch") && choose(Data.parse(words.get("arch")), { announce: false }),
    });
  }

  return { start, choose, announce, summary, reporters, onChoice: (listener) => listeners.push(listener), position: () => chosen };
})();
