"""Race one searcher: seeded runs in parallel, then Table 2 and the trajectories (NARes, section 5).

    python -m experiments.run searcher=bananas runs=400
    python -m experiments.run searcher=local_search searcher.improvement=best queries=200
    python -m experiments.run searcher._target_=my_module.MySearcher
    python -m experiments.run searcher=bananas engine=dask dask=tcp://host:8786
    python -m experiments.run --help

Results go to `<out>/<table>/<searcher>/`.  Started again, the same command goes on
where it stopped.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from experiments import plot, provenance, summary
from experiments.config import RunConfig, help_text, main_with_errors, parse_command_line, searcher_class, target_of
from experiments.runner import Race, build_searcher, open_session
from experiments.store import Runs, RunStore
from experiments.trajectory import incumbents
from experiments.worker import ranges, run_and_store, run_group_and_store
from nasbench_ar import METRICS, ConfigError, Oracle, load
from nasbench_ar.engine import Engine
from searchers import ALL_SEARCHERS


@dataclass(frozen=True)
class Experiment:
    """A finished experiment.

    Attributes:
        config: as it was asked for.
        oracle: the table.
        objective: the metric that guided the search.
        folder: where the results are.
        runs: all stored runs of this configuration.
        rows: Table 2.
        lacking: published rows that the table lacks.
    """

    config: RunConfig
    oracle: Oracle
    objective: str
    folder: Path
    runs: Runs
    rows: list[summary.Row]
    lacking: list[str]

    @property
    def curve(self) -> plot.Curve:
        """Incumbents of all runs."""
        maximize = bool(METRICS[self.objective].maximize)
        return plot.Curve(self.config.searcher_name, incumbents(self.runs.scores, maximize=maximize))


def run_experiment(config: RunConfig, oracle: Oracle | None = None) -> Experiment:
    """Carry out what is missing of an experiment, and write its report.

    Args:
        config: what to do.
        oracle: the table, if it is open already.

    Raises:
        NasbenchError: whenever the configuration cannot be carried out; nothing
            finished is lost.
    """
    config.check()
    oracle = oracle or load(config.table, quiet=True)
    race, fingerprint = _plan(config, oracle)
    folder = Path(config.out) / oracle.name / config.searcher_name
    store = RunStore(folder)
    store.claim(fingerprint, overwrite=config.overwrite)
    wanted = range(config.seed, config.seed + config.runs)
    done = set(store.finished())
    missing = [seed for seed in wanted if seed not in done]
    _note(f"{config.searcher_name}: {race.objective}, seeds {wanted[0]}..{wanted[-1]}, {race.queries} queries each")
    if done:
        _note(f"{len(done)} runs are stored in {folder} already, {len(wanted) - len(missing)} of those asked for")
    code = {"git_commit": provenance.git_commit(), "versions": provenance.versions()}
    store.begin(_resolved(config, oracle, race, fingerprint), code if missing else None)
    if missing:
        _carry_out(race, missing, store, config.parallel, (fingerprint["table_hash"], fingerprint["source"]))
    runs = store.load(wanted, config.queries)
    return _report(config, oracle, race, store, runs)


def _plan(config: RunConfig, oracle: Oracle) -> tuple[Race, dict[str, Any]]:
    objective = config.objective or oracle.table.default_objective
    target = str(config.searcher["_target_"])
    race = Race(
        table=str(oracle.table.folder.resolve()),
        objective=objective,
        queries=config.queries,
        searcher=target,
        arguments=config.arguments,
        table_seed=config.table_seed,
        allow_test_objective=config.allow_test_objective,
    )
    session = open_session(race, oracle)
    space = session.space
    if config.queries > space.size:
        raise ConfigError(
            f"queries={config.queries}: the table has {space.size} architectures with {objective}; "
            f"use queries={space.size} or fewer"
        )
    if space.size < oracle.space.size:
        left_out = oracle.space.size - space.size
        _note(f"{left_out} of {oracle.space.size} architectures have no {objective} here and are left out of the space")
    build_searcher(race, session, config.seed)  # wrong arguments fail here, before any work
    fingerprint = {
        "table": oracle.name,
        "table_hash": oracle.table.content_hash,
        "objective": objective,
        "queries": config.queries,
        "table_seed": config.table_seed,
        "searcher": dict(config.searcher),
        "source": provenance.source_digest(searcher_class(target)),
        "version": provenance.versions()["nasbench-ar"],
    }
    return race, fingerprint


def _resolved(config: RunConfig, oracle: Oracle, race: Race, fingerprint: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": config.searcher_name,
        "table": oracle.name,
        "table_title": oracle.title,
        "table_folder": race.table,
        "objective": race.objective,
        "queries": config.queries,
        "runs": config.runs,
        "seed": config.seed,
        "table_seed": config.table_seed,
        "allow_test_objective": config.allow_test_objective,
        "searcher": dict(config.searcher),
        "fingerprint": fingerprint,
    }


def _carry_out(race: Race, seeds: Sequence[int], store: RunStore, engine: Engine, same: tuple[str, str]) -> None:
    from tqdm import tqdm

    store = RunStore(store.folder.resolve())  # workers may have been started in another folder
    bar = partial(tqdm, total=len(seeds), unit="run", desc=race.searcher.rpartition(".")[2], dynamic_ncols=True)
    if not searcher_class(race.searcher).lockstep:
        with bar() as progress:
            for _ in engine.run(run_and_store, [(race, seed, store, *same) for seed in seeds]):
                progress.update()
        return
    prototype = build_searcher(race, open_session(race), seeds[0])
    size, at_a_time = prototype.grouping(len(seeds), engine.processes())
    groups = [seeds[k : k + size] for k in range(0, len(seeds), size)]
    at_a_time = min(at_a_time, len(groups))
    _note(f"lock-step groups of up to {size} runs: {len(groups)}, {at_a_time} at a time")
    here = engine.name == "loky"  # bars of other machines' workers would be seen by nobody
    tasks = [(race, group, store, *same, k % at_a_time if here else None) for k, group in enumerate(groups)]
    if engine.dask is None:
        waves, engine = [tasks], replace(engine, jobs=at_a_time)
    else:
        waves = [tasks[k : k + at_a_time] for k in range(0, len(tasks), at_a_time)]
    with bar(disable=here) as progress:
        for wave in waves:
            for runs in engine.run(run_group_and_store, wave):
                progress.update(runs)


def _report(config: RunConfig, oracle: Oracle, race: Race, store: RunStore, runs: Runs) -> Experiment:
    known = {target_of(cls): name for name, cls in ALL_SEARCHERS.items()}.get(race.searcher)
    rows, lacking = summary.summarise(
        oracle,
        runs.reported,
        objective=race.objective,
        queries=race.queries,
        searcher=known,
        table_seed=race.table_seed,
    )
    experiment = Experiment(config, oracle, race.objective, store.folder, runs, rows, lacking)
    store.write("summary.csv", summary.as_csv(rows).encode())
    store.write("summary.md", as_text(experiment).encode())
    caption = f"{config.searcher_name}: {len(runs.seeds)} runs of {race.queries} queries. {oracle.name}: {oracle.title}"
    store.write("summary.tex", summary.as_latex(summary.HEADER, list(map(summary.cells, rows)), caption).encode())
    pack = io.BytesIO()
    np.savez_compressed(pack, seeds=runs.seeds, arch_index=runs.arch_index, scores=runs.scores, reported=runs.reported)
    store.write("trajectories.npz", pack.getvalue())
    curve = experiment.curve
    axes = plot.draw_trajectories(
        [curve],
        ylabel=plot.objective_axis(oracle, race.objective),
        **plot.reference_lines(oracle, race.objective, curve.best.shape[1], race.table_seed),  # type: ignore[arg-type]
    )
    plot.save_figure(axes, store.folder / "trajectory.png", note=plot.wrapped_title(oracle))
    return experiment


def as_text(experiment: Experiment) -> str:
    """The report that is printed and stored as `summary.md`."""
    runs, queries = experiment.runs, experiment.config.queries
    lines = [
        f"{experiment.config.searcher_name}: {len(runs.seeds)} runs of {queries} queries, "
        f"objective {experiment.objective}, seeds {ranges(runs.seeds.tolist())}",
        "",
        f"Table {experiment.oracle.name}: {experiment.oracle.title}",
        "",
        summary.as_markdown(summary.HEADER, list(map(summary.cells, experiment.rows))),
    ]
    if experiment.lacking:
        lines.append(f"Not in this table: {', '.join(experiment.lacking)}.")
    if any(row.published for row in experiment.rows):
        lines.append("Published: Table 2 of the NARes paper, on the authors' own data (val metrics at the best epoch).")
    spent = (runs.arch_index >= 0).sum(axis=1)
    if len(spent) and spent.max() > queries:
        lines.append(
            f"Queries of a run: {spent.min()} to {spent.max()}, mean {spent.mean():.1f}; {queries} were allowed."
        )
    lines.append(f"Repeated proposals (free): {runs.repeats.mean():.1f} a run.")
    early = [(int(seed), why) for seed, why in zip(runs.seeds, runs.ended, strict=True) if why]
    if early:
        lines.append(f"{len(early)} runs ended early; the first, seed {early[0][0]}: {early[0][1]}.")
    return "\n".join(lines) + "\n"


def _note(text: str) -> None:
    print(f"nasbench-ar: {text}", file=sys.stderr)


def main(arguments: Sequence[str]) -> None:
    """The command."""
    if {"-h", "--help"} & set(arguments):
        print(help_text("python -m experiments.run"))
        return
    os.environ.setdefault("MPLBACKEND", "Agg")
    config = parse_command_line(arguments)
    oracle = load(config.table)
    experiment = run_experiment(config, oracle)
    print(as_text(experiment))
    print(f"{experiment.folder}: summary.csv summary.md summary.tex config.yaml trajectories.npz trajectory.png")


if __name__ == "__main__":
    sys.exit(main_with_errors(main))
