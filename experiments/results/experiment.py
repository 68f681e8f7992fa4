"""One finished experiment: its runs, what they are worth, and its report in words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from experiments.races.complete import ranges
from experiments.races.config import target_of
from experiments.races.race import Race
from experiments.races.store import Runs
from experiments.results import summary
from experiments.results.incumbents import Curve
from experiments.results.judged import Judged, judge
from experiments.tables import as_markdown, number, table_notes
from nasbench_ar import Oracle
from nasbench_ar.html_table import html_table
from searchers import ALL_SEARCHERS

_NAMES = {target_of(cls): name for name, cls in ALL_SEARCHERS.items()}


@dataclass(frozen=True, repr=False)
class Experiment:
    """A finished experiment; `lacking` are the published rows that its table lacks, `judged` is None for plain runs."""

    name: str
    race: Race
    oracle: Oracle
    folder: Path
    runs: Runs
    rows: list[summary.Row]
    lacking: list[str]
    judged: Judged | None = None

    def __repr__(self) -> str:
        objective = next((row for row in self.rows if row.is_objective), None)
        mean = f": {objective.metric} {number(objective.spread.mean)} on average" if objective else ""
        return f"{type(self).__name__}({self._about()}{mean}; {self.folder})"

    def _repr_html_(self) -> str:
        return html_table(self._about(), header_of(self.race), map(summary.cells, self.rows))

    def _about(self) -> str:
        return f"{self.name} on {self.oracle.name}, {len(self.runs.seeds)} runs of {self.race.queries} queries"

    @property
    def curve(self) -> Curve:
        """What all runs would have reported after each query; under constraints its true value if it is feasible."""
        return curve_of(self.name, self.oracle, self.race, self.runs, self.judged)


def curve_of(name: str, oracle: Oracle, race: Race, runs: Runs, judged: Judged | None) -> Curve:
    if judged is not None:
        return Curve(name, judged.true)
    return Curve(name, oracle.column(race.objective, seed=race.table_seed)[runs.incumbent])


def judged_experiment(name: str, race: Race, oracle: Oracle, folder: Path, runs: Runs) -> Experiment:
    """What the runs of one race are worth."""
    rows, lacking = summary.summarise(
        oracle,
        runs.reported,
        objective=race.objective,
        queries=race.queries,
        searcher=_NAMES.get(race.searcher) if race.is_plain else None,
        table_seed=race.table_seed,
        constraints=oracle.limits(race.constraints),
    )
    judged = None if race.is_plain else judge(oracle, race, runs)
    return Experiment(name, race, oracle, folder, runs, rows, lacking, judged)


def header_of(race: Race) -> tuple[str, ...]:
    return summary.LIMITED_HEADER if race.constraints else summary.HEADER


def notes_under(experiment: Experiment) -> list[str]:
    return table_notes(experiment.oracle, (row.metric for row in experiment.rows), experiment.lacking)


def as_text(experiment: Experiment) -> str:
    runs, queries = experiment.runs, experiment.race.queries
    lines = [
        f"{experiment.name}: {len(runs.seeds)} runs of {queries} queries, "
        f"objective {experiment.race.objective}, seeds {ranges(runs.seeds.tolist())}",
        "",
        f"Table {experiment.oracle.name}: {experiment.oracle.title}",
        "",
        as_markdown(header_of(experiment.race), list(map(summary.cells, experiment.rows))),
    ]
    lines += notes_under(experiment)
    if any(row.published for row in experiment.rows):
        lines.append("Published: Table 2 of the NARes paper, on the authors' own data (val metrics at the best epoch).")
    if experiment.judged is not None:
        lines += experiment.judged.lines()
    spent = (runs.arch_index >= 0).sum(axis=1)
    if len(spent) and spent.max() > queries:
        lines.append(
            f"Queries of a run: {spent.min()} to {spent.max()}, mean {spent.mean():.1f}; {queries} were allowed."
        )
    lines.append(f"Repeated proposals (free): {runs.repeats.mean():.1f} a run.")
    if runs.early:
        lines.append(runs.early)
    return "\n".join(lines) + "\n"
