"""A whole experiment: what is missing is run, judged against the table, and reported in its folder."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from experiments.plots.fronts import draw_front, draw_volumes
from experiments.plots.style import save_figure
from experiments.plots.trajectories import draw_trajectories, reference_lines
from experiments.races.complete import complete, load_completed
from experiments.races.config import (
    RunConfig,
)
from experiments.races.store import RunStore
from experiments.results import summary
from experiments.results.experiment import Experiment, as_text, header_of, judged_experiment, origin_of
from experiments.results.fronts import HEADER as FRONTS_HEADER
from experiments.results.fronts import Cloud, front_cells, front_csv, fronts_csv, fronts_text, measure
from experiments.tables import as_latex, objective_axis, origin, proper_name, short_label
from nasbench_ar import ConfigError, Oracle, load


def run_experiment(config: RunConfig, oracle: Oracle | None = None) -> Experiment:
    """Carry out what is missing of an experiment and write its report; an error loses nothing finished."""
    oracle = oracle or load(config.table, quiet=True)
    if "," in (config.objective or ""):
        raise ConfigError(f"objective={config.objective}: several objectives are for python -m experiments.run alone")
    with complete(config, oracle, Path(config.out) / oracle.name) as (race, store):
        runs = load_completed(race, store, config, oracle)
        experiment = judged_experiment(config.searcher_name, race, oracle, store.folder, runs)
        _write_report(experiment, store)
    return experiment


def _write_report(experiment: Experiment, store: RunStore) -> None:
    race, oracle, runs = experiment.race, experiment.oracle, experiment.runs
    rows, judged = experiment.rows, experiment.judged
    store.write("summary.csv", summary.as_csv(rows).encode())
    store.write("summary.md", as_text(experiment).encode())
    header = header_of(race)
    caption = (
        f"{proper_name(experiment.name)}: {len(runs.seeds)} runs of {race.queries} queries. Mean and standard "
        f"deviation over runs of what they reported, and the 95 % interval of the mean. {origin_of(experiment)}."
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
    curves = [experiment.curve]
    if judged is None:
        lines = reference_lines(oracle, race.objective, race.queries, race.table_seed)
    else:
        curves, lines = judged.curves(experiment.name), judged.reference_lines(race.queries)
    axes = draw_trajectories(
        curves,
        ylabel=objective_axis(oracle, race.objective),
        **lines,  # type: ignore[arg-type]
    )
    save_figure(axes, store.folder / "trajectory.png", note=origin(oracle, race.objective))


def run_fronts(config: RunConfig, oracle: Oracle) -> str:
    """Carry out what is missing of a race with several objectives, write its report and return it."""
    objectives = [word.strip() for word in (config.objective or "").split(",")]
    with complete(config, oracle, Path(config.out) / oracle.name / "+".join(objectives)) as (race, store):
        runs = load_completed(race, store, config, oracle)
        cloud = Cloud.of(oracle, objectives, race.constraints, race.table_seed)
        fronts = measure(config.searcher_name, cloud, runs)
        text = fronts_text(fronts, oracle, race.queries, race.constraints)
        store.write("summary.csv", fronts_csv(fronts).encode())
        store.write("summary.md", text.encode())
        note = origin(oracle, *objectives)
        searcher = f"{proper_name(fronts.name)}: {len(runs.seeds)} runs of {race.queries} queries"
        caption = f"{searcher}, objectives {', '.join(short_label(oracle, name) for name in objectives)}. {note}."
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
