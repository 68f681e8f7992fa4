"""What needs no search, exactly: one of the n largest networks, and random search, on every metric of Table 2.

    python -m experiments.baselines
    python -m experiments.baselines table=nares constraint=macs<=10e9

keys and defaults:
  table=                       name or folder of a table; the best one at hand by default
  objective=                   what random search looks at; the table's own by default
  constraint=                  limits on macs and params, as constraint=macs<=10e9,params<=60e6
  n=1,10,50,100,500            of how many largest networks one is drawn
  queries=500                  of random search
  out=results                  writes <out>/<table>/baselines.md and .csv

No run is made: a network drawn from the n of most MACs, and the best of `queries`
uniform draws by the objective, have exact means and standard deviations.  A searcher
that beats neither on a test metric has found nothing more robust.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.results.baselines import Baseline, known_limits, one_at_random, one_of_the_largest, random_search
from experiments.results.summary import table2_metrics
from experiments.tables import as_markdown, csv_text, plus_minus, row_label, share_text, table_notes
from nasbench_ar import ConfigError, Oracle, SearchSpace, load
from nasbench_ar.constraints import ConstraintsLike
from nasbench_ar.metrics import objective as objective_metric
from nasbench_ar.system.command import run_command
from nasbench_ar.system.files import make_folder, write_file
from nasbench_ar.system.key_values import parse_words, whole_numbers

MOST_QUERIES = 10_000_000
LARGEST = (1, 10, 50, 100, 500)


def of(
    oracle: Oracle, objective: str, *, n: Sequence[int] = LARGEST, queries: int = 500, constraints: ConstraintsLike = ()
) -> list[Baseline]:
    """One of the n largest for each n, in a space that knows costs, or one at random; and random search."""
    found = objective_metric(objective, catalogue=oracle.table.catalogue, among=oracle.metrics)
    members = oracle.searchable_space(objective, constraints=known_limits(oracle, constraints)).member_indices
    space = oracle.space
    if isinstance(space, SearchSpace):
        drawn = [one_of_the_largest(space, members, count) for count in n]
    else:
        drawn = [one_at_random(space, members)]
    return [*drawn, random_search(oracle.column(objective), members, queries, maximize=bool(found.maximize))]


def as_text(baselines: Sequence[Baseline], oracle: Oracle, objective: str) -> str:
    metrics, lacking = table2_metrics(oracle, objective)
    lines = []
    for baseline in baselines:
        line = [baseline.name, str(baseline.queries)]
        for metric in metrics:
            column = oracle.column(metric.name)
            found, share = baseline.spread(column), baseline.share_known(column)
            line.append(plus_minus(found.mean, found.std) + share_text(share))
        lines.append(line)
    names = [metric.name for metric in metrics]
    table = as_markdown(["Baseline", "Queries", *(row_label(oracle, name, objective) for name in names)], lines)
    what = (
        "Exact means and standard deviations of what is reported; [%]: how often it has a value in this table, mean "
        "and deviation are over those."
    )
    notes = table_notes(oracle, names, lacking)
    return "\n".join([f"Table {oracle.name}: {oracle.title}", "", table, what, *notes]) + "\n"


def as_csv(baselines: Sequence[Baseline], oracle: Oracle, objective: str) -> str:
    lines = []
    for baseline in baselines:
        for metric in table2_metrics(oracle, objective)[0]:
            column = oracle.column(metric.name)
            found = baseline.spread(column)
            lines.append(
                [baseline.name, baseline.queries, metric.name, found.mean, found.std, baseline.share_known(column)]
            )
    return csv_text(["baseline", "queries", "metric", "mean", "std", "share_known"], lines)


def main(arguments: Sequence[str]) -> None:
    defaults = {
        "table": "",
        "objective": "",
        "constraint": "",
        "n": ",".join(map(str, LARGEST)),
        "queries": 500,
        "out": "results",
    }
    given = parse_words(arguments, defaults, {"queries": (1, MOST_QUERIES)})
    oracle = load(given["table"] or None)
    objective = given["objective"] or oracle.table.default_objective
    counts = sorted(set(whole_numbers("n", given["n"])))
    if min(counts) < 1:
        raise ConfigError(f"n={given['n']}: expected counts of at least 1")
    baselines = of(oracle, objective, n=counts, queries=given["queries"], constraints=given["constraint"] or ())
    text = as_text(baselines, oracle, objective)
    print(text)
    folder = Path(given["out"]) / oracle.name
    make_folder(folder)
    write_file(folder / "baselines.md", text.encode())
    write_file(folder / "baselines.csv", as_csv(baselines, oracle, objective).encode())
    print(f"{folder}: baselines.md .csv")


if __name__ == "__main__":
    sys.exit(run_command(main))
