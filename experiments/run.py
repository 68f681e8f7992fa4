"""Race one searcher: seeded runs in parallel, then Table 2 and the trajectories (NARes, section 5).

    python -m experiments.run searcher=bananas runs=400
    python -m experiments.run searcher=local_search searcher.improvement=best queries=200
    python -m experiments.run searcher._target_=my_module.MySearcher
    python -m experiments.run searcher=nsga2 objective=val_best_pgd_acc,macs
    python -m experiments.run searcher=bananas "constraint=macs<=10e9" name=small
    python -m experiments.run searcher=bananas noise=run name=noisy
    python -m experiments.run searcher=bananas engine=dask dask=tcp://host:8786

Results go to `<out>/<table>/<searcher>/`.  Started again, the same command goes on
where it stopped.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from experiments import plot, provenance, summary
from experiments.config import RunConfig, help_text, main_with_errors, parse_command_line, searcher_class, target_of
from experiments.figures.looks import proper_name
from experiments.judged import Judged, judge
from experiments.labels import definitions
from experiments.redraw import IMAGES, check_noise, images_of
from experiments.runner import Race, build_searcher, open_session
from experiments.store import Runs, RunStore, note, writing_reports
from experiments.stored_config import load_runs
from experiments.trajectory import incumbents
from experiments.worker import ranges, run_and_store, run_group_and_store
from nasbench_ar import METRICS, ConfigError, Oracle, load, parse_constraints
from nasbench_ar.bars import bar
from nasbench_ar.checkout import versions
from nasbench_ar.engine import Engine
from searchers import ALL_SEARCHERS, FOR_VECTORS, VectorSearcher
from searchers.borrowed import BorrowedSearcher


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
        judged: what the runs are worth under constraints or noise; None for plain runs.
    """

    config: RunConfig
    oracle: Oracle
    objective: str
    folder: Path
    runs: Runs
    rows: list[summary.Row]
    lacking: list[str]
    judged: Judged | None = None

    @property
    def curve(self) -> plot.Curve:
        """Incumbents of all runs; of their true values, feasible ones only, where it makes a difference."""
        if self.judged is not None:
            return plot.Curve(self.config.searcher_name, self.judged.true)
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
    oracle = oracle or load(config.table, quiet=True)
    if "," in (config.objective or ""):
        raise ConfigError(f"objective={config.objective}: several objectives are for python -m experiments.run alone")
    with complete(config, oracle, Path(config.out) / oracle.name) as (race, store, runs):
        experiment = _judged(config, oracle, race, store, runs)
        _write_report(experiment, race, store)
    return experiment


@contextlib.contextmanager
def complete(config: RunConfig, oracle: Oracle, parent: Path) -> Iterator[tuple[Race, RunStore, Runs]]:
    """Carry out the runs that are missing; the runs asked for lie in a folder below `parent`.

    What is done with them belongs into the block: until it ends, no other configuration can
    have the folder.  A report that cannot be written ends the block, with a note where no
    run was missing.

    Raises:
        NasbenchError: as `run_experiment`.
    """
    config.check()
    race, fingerprint = _plan(config, oracle)
    store = RunStore(parent / config.searcher_name)
    resolved = _resolved(config, oracle, race, fingerprint)
    with store.claim(resolved, overwrite=config.overwrite):
        wanted = range(config.seed, config.seed + config.runs)
        note(f"{config.searcher_name}: {race.objective}, seeds {wanted[0]}..{wanted[-1]}, {race.queries} queries each")
        missing = store.missing(wanted)
        store.begin(resolved, provenance.code() if missing else None)
        if missing:
            _carry_out(race, missing, store, config.parallel, (fingerprint["table_hash"], fingerprint["source"]))
        # checked, since some may have been stored by another command, long ago
        runs = load_runs(store, fingerprint, wanted, config.queries, oracle)
        with writing_reports(computed=bool(missing)):
            yield race, store, runs


def _plan(config: RunConfig, oracle: Oracle) -> tuple[Race, dict[str, Any]]:
    objective = ",".join(map(str.strip, (config.objective or oracle.table.default_objective).split(",")))
    several = "," in objective
    target = _target(config, several=several)
    if config.noise != "none":
        if several:
            raise ConfigError(f"noise={config.noise}: noise is for one objective; given were {objective}")
        check_noise(oracle, objective)
        if any(not limit.known_cost for limit in parse_constraints(config.constraint, oracle.metrics)):
            raise ConfigError(
                f"constraint={config.constraint} with noise={config.noise}: limits on measured metrics would need "
                "noise of their own; with noise only macs and params can be limited"
            )
    race = Race(
        table=str(oracle.table.folder.resolve()),
        objective=objective,
        queries=config.queries,
        searcher=target,
        arguments=config.arguments,
        table_seed=config.table_seed,
        allow_test_objective=config.allow_test_objective,
        constraints=tuple(map(str, parse_constraints(config.constraint, oracle.metrics))),
        noise=config.noise,
        images=images_of(oracle, config.images) if config.noise != "none" else IMAGES,
    )
    session = open_session(race, oracle)
    space = session.space
    limits = f" that keep {', '.join(race.constraints)}" if race.constraints else ""
    if config.queries > space.size:
        raise ConfigError(
            f"queries={config.queries}: the table has {space.size} architectures with {objective}{limits}; "
            f"use queries={space.size} or fewer"
        )
    _note_left_out(race, oracle, space.size)
    build_searcher(race, session, config.seed)  # wrong arguments fail here, before any work
    fingerprint = {
        "table": oracle.name,
        "table_hash": oracle.table.content_hash,
        "objective": objective,
        "queries": config.queries,
        "table_seed": config.table_seed,
        "searcher": {**config.searcher, "_target_": target},
        "source": provenance.source_digest(searcher_class(target)),
        "version": provenance.versions()["nasbench-ar"],
    }
    return race, fingerprint | _special(race)


def _target(config: RunConfig, *, several: bool) -> str:
    """The searcher's class, or what stands for it where there are several objectives."""
    target = str(config.searcher["_target_"])
    cls = searcher_class(target)
    if not several or issubclass(cls, VectorSearcher):
        return target
    if cls not in FOR_VECTORS:
        raise ConfigError(
            f"objective={config.objective}: {config.searcher_name} takes one objective; several are for "
            "searcher=nsga2, searcher=random_search or a subclass of searchers.VectorSearcher"
        )
    return target_of(FOR_VECTORS[cls])


def _special(race: Race) -> dict[str, Any]:
    """What belongs to a fingerprint only where it is used, so that plain runs keep theirs."""
    out: dict[str, Any] = {"constraint": ",".join(race.constraints)} if race.constraints else {}
    if race.noise != "none":
        out |= {"noise": race.noise, "images": race.images}
    if issubclass(cls := searcher_class(race.searcher), BorrowedSearcher):
        out["libraries"] = versions(cls.libraries)
    return out


def _note_left_out(race: Race, oracle: Oracle, size: int) -> None:
    needed = dict.fromkeys([*race.objectives, *(limit.metric for limit in parse_constraints(race.constraints))])
    lacking = oracle.space.size - int(oracle.available(*needed, seed=race.table_seed).sum())
    if lacking:
        names = " and ".join(needed)
        note(f"{lacking} of {oracle.space.size} architectures have no {names} here and are left out of the space")
    if beyond := oracle.space.size - lacking - size:
        limits = ", ".join(str(limit) for limit in parse_constraints(race.constraints) if limit.known_cost)
        note(f"{limits}: {beyond} of {oracle.space.size} architectures are beyond it and left out of the space")


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
        **_special(race),
        "searcher": dict(config.searcher),
        "fingerprint": fingerprint,
    }


def _carry_out(race: Race, seeds: Sequence[int], store: RunStore, engine: Engine, same: tuple[str, str]) -> None:
    store = RunStore(store.folder.resolve(), store.mark)  # workers may have been started in another folder
    runs_bar = partial(bar, total=len(seeds), unit="run", desc=race.searcher.rpartition(".")[2])
    if not searcher_class(race.searcher).lockstep:
        with runs_bar() as progress:
            for _ in engine.run(run_and_store, [(race, seed, store, *same) for seed in seeds]):
                progress.update()
        return
    prototype = build_searcher(race, open_session(race), seeds[0])
    size, at_a_time = prototype.grouping(len(seeds), engine.processes())
    groups = [seeds[k : k + size] for k in range(0, len(seeds), size)]
    at_a_time = min(at_a_time, len(groups))
    note(f"lock-step groups of up to {size} runs: {len(groups)}, {at_a_time} at a time")
    here = engine.name == "loky"  # bars of other machines' workers would be seen by nobody
    tasks = [(race, group, store, *same, k % at_a_time if here else None) for k, group in enumerate(groups)]
    if engine.dask is None:
        waves, engine = [tasks], replace(engine, jobs=at_a_time)
    else:
        waves = [tasks[k : k + at_a_time] for k in range(0, len(tasks), at_a_time)]
    with runs_bar(hidden=here) as progress:
        for wave in waves:
            for runs in engine.run(run_group_and_store, wave):
                progress.update(runs)


def _judged(config: RunConfig, oracle: Oracle, race: Race, store: RunStore, runs: Runs) -> Experiment:
    known = {target_of(cls): name for name, cls in ALL_SEARCHERS.items()}.get(race.searcher)
    plain = not race.constraints and race.noise == "none"
    limits = parse_constraints(race.constraints)
    rows, lacking = summary.summarise(
        oracle,
        runs.reported,
        objective=race.objective,
        queries=race.queries,
        searcher=known if plain else None,
        table_seed=race.table_seed,
        constraints=limits,
    )
    judged = None if plain else judge(oracle, race, runs)
    return Experiment(config, oracle, race.objective, store.folder, runs, rows, lacking, judged)


def _write_report(experiment: Experiment, race: Race, store: RunStore) -> None:
    config, oracle, runs = experiment.config, experiment.oracle, experiment.runs
    rows, judged = experiment.rows, experiment.judged
    store.write("summary.csv", summary.as_csv(rows).encode())
    store.write("summary.md", as_text(experiment).encode())
    header = _header(config)
    caption = (
        f"{proper_name(config.searcher_name)}: {len(runs.seeds)} runs of {race.queries} queries. Mean and standard "
        f"deviation over runs of what they reported, and the 95 % interval of the mean. {origin_of(experiment)}."
    )
    label = f"summary {config.searcher_name}"
    store.write("summary.tex", summary.as_latex(header, list(map(summary.cells, rows)), caption, label).encode())
    arrays = {"seeds": runs.seeds, "arch_index": runs.arch_index, "scores": runs.scores, "reported": runs.reported}
    if judged is not None:
        arrays |= judged.arrays
        store.write("judged.csv", judged.as_csv().encode())
    pack = io.BytesIO()
    np.savez_compressed(pack, **arrays)  # type: ignore[arg-type]
    store.write("trajectories.npz", pack.getvalue())
    curves = [experiment.curve]
    if judged is None:
        lines = plot.reference_lines(oracle, race.objective, race.queries, race.table_seed)
    else:
        curves, lines = judged.curves(config.searcher_name), judged.reference_lines(race.queries)
    axes = plot.draw_trajectories(
        curves,
        ylabel=plot.objective_axis(oracle, race.objective),
        **lines,  # type: ignore[arg-type]
    )
    plot.save_figure(axes, store.folder / "trajectory.png", note=plot.origin(oracle, race.objective))


def origin_of(experiment: Experiment) -> str:
    """What the numbers of an experiment's table are, and what its daggers mean."""
    return plot.origin(experiment.oracle, *(row.metric for row in experiment.rows))


def _header(config: RunConfig) -> tuple[str, ...]:
    return summary.LIMITED_HEADER if config.constraint else summary.HEADER


def as_text(experiment: Experiment) -> str:
    """The report that is printed and stored as `summary.md`."""
    runs, queries = experiment.runs, experiment.config.queries
    lines = [
        f"{experiment.config.searcher_name}: {len(runs.seeds)} runs of {queries} queries, "
        f"objective {experiment.objective}, seeds {ranges(runs.seeds.tolist())}",
        "",
        f"Table {experiment.oracle.name}: {experiment.oracle.title}",
        "",
        summary.as_markdown(_header(experiment.config), list(map(summary.cells, experiment.rows))),
    ]
    if daggers := definitions(experiment.oracle, (row.metric for row in experiment.rows)):
        lines.append(f"{daggers}.")
    if experiment.lacking:
        lines.append(f"Not in this table: {', '.join(experiment.lacking)}.")
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


def main(arguments: Sequence[str]) -> None:
    """The command."""
    if {"-h", "--help"} & set(arguments):
        docs = "docs/experiments.md and docs/searchers.md"
        print(help_text("python -m experiments.run", __name__, docs), end="")
        return
    config = parse_command_line(arguments)
    oracle = load(config.table)
    if "," in (config.objective or ""):
        from experiments import fronts

        print(fronts.run_fronts(config, oracle))
        return
    experiment = run_experiment(config, oracle)
    print(as_text(experiment))
    more = ", judged.csv" if experiment.judged else ""
    print(f"{experiment.folder}: summary.csv .md .tex, config.yaml, trajectories.npz, trajectory.png .pdf{more}")


if __name__ == "__main__":
    sys.exit(main_with_errors(main, runs=True))
