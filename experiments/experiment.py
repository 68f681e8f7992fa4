"""A whole experiment: what is missing is run, judged against the table, and reported in its folder."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.plots.fronts import draw_front, draw_volumes
from experiments.plots.style import save_figure
from experiments.plots.trajectories import draw_trajectories, lines_of
from experiments.races.checks import load_runs
from experiments.races.complete import complete
from experiments.races.config import RunConfig, named_searcher, target_of
from experiments.races.store import RunStore
from experiments.results import summary
from experiments.results.experiment import Experiment, as_text, header_of, judged_experiment
from experiments.results.fronts import HEADER as FRONTS_HEADER
from experiments.results.fronts import Cloud, front_cells, front_csv, fronts_csv, fronts_text, measure
from experiments.tables import as_latex, objective_axis, origin, proper_name, short_label
from nasbench_ar import ConfigError, Oracle, load
from nasbench_ar.errors import shown
from nasbench_ar.system.key_values import checked_value
from searchers import ALL_SEARCHERS, Searcher

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, repr=False)
class FinishedRace(Experiment):
    """What `experiments.race` returns: `summary`, `curve`, `plot()`, and the runs themselves.

    Attributes:
        runs: arrays by run and query: `arch_index`, `scores`, `incumbent`, `reported`.
        folder: where the results are.
    """

    @property
    def summary(self) -> pd.DataFrame:
        """Table 2: a line per metric with `mean`, `std`, `ci_low`, `ci_high`, `optimum`, `published`; percentages."""
        import pandas as pd

        return pd.read_csv(io.StringIO(summary.as_csv(self.rows)), index_col="metric")

    def plot(self, axes: Axes | None = None) -> Axes:
        """Mean incumbent against queries with its band and reference lines, on the axes given or on new ones."""
        return _draw(self, axes)


def race(
    searcher: str | type[Searcher] = "bananas",
    *,
    arguments: Mapping[str, Any] | None = None,
    table: str | os.PathLike[str] | Oracle | None = None,
    **settings: Any,
) -> FinishedRace:
    """Race one searcher: seeded runs in parallel; stored runs are not repeated (NARes, section 5).

        import experiments

        finished = experiments.race("local_search", runs=100, queries=200)
        finished.summary.loc["val_best_pgd_acc", "mean"]
        finished.plot()

    Args:
        searcher: a name that `python -m experiments.run --help` lists, a subclass of `searchers.Searcher`, also of a
            notebook or script, or its dotted path.
        arguments: of the searcher's constructor.
        table: name or folder of a table, or an open oracle; None takes the best one at hand.
        settings: the keys of `python -m experiments.run`, such as `runs`, `queries`, `seed`, `objective`,
            `constraint`, `noise`, `jobs`, `out` and `name`.

    Raises:
        ConfigError: for an unknown setting or searcher, or a value that it does not take.
        NasbenchError: when the race cannot be carried out; finished runs are kept.
    """
    oracle = table if isinstance(table, Oracle) else load(table, quiet=True)
    values = {key: checked_value(RunConfig, key, value) for key, value in settings.items()}
    values["searcher"] = _searcher(searcher) | dict(arguments or {})
    found = run_experiment(RunConfig(**values), oracle)
    return FinishedRace(**{field.name: getattr(found, field.name) for field in fields(found)})


def _searcher(searcher: str | type[Searcher]) -> dict[str, Any]:
    """What the command line makes of a name, or of the path of a class."""
    if isinstance(searcher, str):
        return {"_target_": searcher} if "." in searcher else named_searcher(searcher)
    if not isinstance(searcher, type):
        raise ConfigError(f"searcher={shown(searcher)}: expected a name or a class; arguments= holds what it is given")
    if "<locals>" in searcher.__qualname__:
        raise ConfigError(f"{searcher.__qualname__} is defined inside a function; workers need a class outside of it")
    names = [name for name, cls in ALL_SEARCHERS.items() if cls is searcher]
    return named_searcher(names[0]) if names else {"_target_": target_of(searcher)}


def run_experiment(config: RunConfig, oracle: Oracle | None = None) -> Experiment:
    """Carry out what is missing of an experiment and write its report; an error loses nothing finished."""
    oracle = oracle or load(config.table, quiet=True)
    if "," in (config.objective or ""):
        raise ConfigError(f"objective={config.objective}: several objectives are for python -m experiments.run alone")
    with complete(config, oracle, Path(config.out) / oracle.name) as (race, store):
        runs = load_runs(store, race, config.seeds, race.queries, oracle)
        experiment = judged_experiment(config.searcher_name, race, oracle, store.folder, runs)
        _write_report(experiment, store, foot=config.foot)
    return experiment


def _write_report(experiment: Experiment, store: RunStore, *, foot: bool) -> None:
    race, oracle, runs = experiment.race, experiment.oracle, experiment.runs
    rows, judged = experiment.rows, experiment.judged
    store.write("summary.csv", summary.as_csv(rows).encode())
    store.write("summary.md", as_text(experiment).encode())
    header = header_of(race)
    caption = (
        f"{proper_name(experiment.name)}: {len(runs.seeds)} runs of {race.queries} queries. Mean and standard "
        f"deviation over runs of what they reported, and the 95 % interval of the mean. "
        f"{origin(oracle, *(row.metric for row in rows))}."
    )
    label = f"summary {experiment.name}"
    store.write("summary.tex", as_latex(header, list(map(summary.cells, rows)), caption, label).encode())
    arrays = {"seeds": runs.seeds, "arch_index": runs.arch_index, "scores": runs.scores, "reported": runs.reported}
    if judged is not None:
        arrays |= judged.arrays
        store.write("judged.csv", judged.as_csv().encode())
    pack = io.BytesIO()
    np.savez_compressed(pack, **arrays)  # type: ignore[arg-type]
    store.write("trajectories.npz", pack.getvalue())
    note = origin(oracle, race.objective) if foot else ""
    save_figure(_draw(experiment), store.folder / "trajectory.png", note=note)


def _draw(experiment: Experiment, axes: Axes | None = None) -> Axes:
    race, oracle, judged = experiment.race, experiment.oracle, experiment.judged
    return draw_trajectories(
        [experiment.curve] if judged is None else judged.curves(experiment.name),
        ylabel=objective_axis(oracle, race.objective),
        axes=axes,
        **lines_of(oracle, race, judged, race.queries),  # type: ignore[arg-type]
    )


def run_fronts(config: RunConfig, oracle: Oracle) -> str:
    """Carry out what is missing of a race with several objectives, write its report and return it."""
    objectives = [word.strip() for word in (config.objective or "").split(",")]
    with complete(config, oracle, Path(config.out) / oracle.name / "+".join(objectives)) as (race, store):
        runs = load_runs(store, race, config.seeds, race.queries, oracle)
        cloud = Cloud.of(oracle, objectives, race.constraints, race.table_seed)
        fronts = measure(config.searcher_name, cloud, runs)
        text = fronts_text(fronts, oracle, race.queries, race.constraints)
        store.write("summary.csv", fronts_csv(fronts).encode())
        store.write("summary.md", text.encode())
        about = origin(oracle, *objectives)
        note = about if config.foot else ""
        searcher = f"{proper_name(fronts.name)}: {len(runs.seeds)} runs of {race.queries} queries"
        caption = f"{searcher}, objectives {', '.join(short_label(oracle, name) for name in objectives)}. {about}."
        store.write(
            "summary.tex", as_latex(FRONTS_HEADER, front_cells(fronts), caption, f"fronts {fronts.name}").encode()
        )
        store.write("front.csv", front_csv(fronts, oracle).encode())
        pack = io.BytesIO()
        np.savez_compressed(
            pack,
            seeds=runs.seeds,
            arch_index=runs.arch_index,
            hypervolume=fronts.volumes,
            on_front=fronts.on_front,
            exact_front=cloud.front,
            exact_found=fronts.exact,
        )
        store.write("trajectories.npz", pack.getvalue())
        save_figure(draw_volumes([fronts]), store.folder / "hypervolume.png", note=note)
        save_figure(draw_front(fronts, oracle), store.folder / "front.png", note=note)
    names = "summary.csv .md .tex, front.csv .png .pdf, hypervolume.png .pdf, trajectories.npz, config.yaml"
    return f"{text}\n{store.folder}: {names}"
