"""One multi-fidelity experiment: what is missing is computed, everything is reported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.fidelity import report
from experiments.fidelity.config import FidelityConfig
from experiments.races import provenance
from experiments.races.complete import check_same
from experiments.races.config import searcher_class
from experiments.races.machines import FidelityRace, build_searcher, open_session, run_once
from experiments.races.store import writing_reports
from experiments.races.trace_store import TraceStore
from experiments.results import summary
from experiments.results.traces import Results, read_results
from nasbench_ar import ConfigError, FidelitySession, Oracle, load
from nasbench_ar.system.bars import bar
from nasbench_ar.system.engine import Engine
from nasbench_ar.system.files import note
from searchers.fidelity import FidelitySearcher

WHOLE_TRAININGS = 50  # that the default budget pays for, in a large space


def run_experiment(config: FidelityConfig, oracle: Oracle | None = None) -> Results:
    """Carry out what is missing of an experiment, and write its report.

    Args:
        config: what to do.
        oracle: the table, if it is open already.

    Raises:
        NasbenchError: whenever the configuration cannot be carried out; nothing finished is lost.
    """
    config.check()
    oracle = oracle or load(config.table, quiet=True)
    race, session = _plan(config, oracle)
    folder = results_folder(config, oracle) / config.searcher_name
    store = TraceStore(folder)
    fingerprint = _fingerprint(config, oracle, race)
    resolved = _resolved(config, oracle, race, session, fingerprint)
    with store.claim(resolved, overwrite=config.overwrite):
        wanted = range(config.seed, config.seed + config.runs)
        unit, mark, origin = session.cost.label.partition("; ")
        note(
            f"{config.searcher_name}: {race.objective}, seeds {wanted[0]}..{wanted[-1]}, "
            f"{race.budget:.6g} {unit} each, {race.workers} at a time{mark}{origin}"
        )
        missing = store.missing(wanted)
        store.begin(resolved, provenance.code() if missing else None)
        if missing:
            _carry_out(race, missing, store, config.parallel, (fingerprint["table_hash"], fingerprint["source"]))
        results = read_results(folder, wanted, oracle)
        with writing_reports(computed=bool(missing)):
            write_report([results], store, "summary")
            store.write("table2.csv", summary.as_csv(table2(results)).encode())
    return results


def results_folder(config: FidelityConfig, oracle: Oracle) -> Path:
    """Where the searchers of a table have their folders."""
    return Path(config.out) / oracle.name / "fidelity"


def write_report(results: Sequence[Results], store: TraceStore, name: str) -> list[str]:
    """Write `<name>.md`, `.csv`, `.png`, `.pdf` and `<name>_curves.csv`; returns their names."""
    store.write(f"{name}.md", report.as_text(results).encode())
    store.write(f"{name}.csv", report.table_csv(results).encode())
    store.write(f"{name}_curves.csv", report.curves_csv(results).encode())
    report.draw(results, store.folder / f"{name}.png")
    return [f"{name}.md", f"{name}.csv", f"{name}_curves.csv", f"{name}.png", f"{name}.pdf"]


def table2(results: Results) -> list[summary.Row]:
    """Every metric of Table 2 that the table has, for the architectures reported."""
    rows, _ = summary.summarise(
        results.oracle,
        results.reported,
        objective=results.objective,
        queries=0,
        searcher=None,
        table_seed=results.config["fingerprint"]["table_seed"],
    )
    return rows


def _plan(config: FidelityConfig, oracle: Oracle) -> tuple[FidelityRace, FidelitySession]:
    objective = config.objective or oracle.table.default_objective
    session = oracle.fidelity_session(
        objective, budget=1 if config.budget is None else config.budget, unit=config.unit, seed=config.table_seed
    )
    space, prices = session.space, session.cost.per_epoch[session.space.member_indices] * session.epochs
    whole = float(prices.sum())
    if config.budget is None:
        share = min(WHOLE_TRAININGS / space.size, max(space.size // 2, 1) / space.size)
        session.budget = round(share * whole, 0 if config.unit == "epochs" else 12)
    if session.budget > whole * (1 + 1e-9):
        unit, mark, origin = session.cost.label.partition("; ")
        raise ConfigError(
            f"budget={session.budget:.6g}: training all {space.size} architectures that have curves to the end takes "
            f"{whole:.6g} {unit}; use that or less{mark}{origin}"
        )
    if space.size < oracle.space.size:
        left_out = oracle.space.size - space.size
        note(f"{left_out} of {oracle.space.size} architectures have no curve of {objective} and are left out")
    race = FidelityRace(
        table=str(oracle.table.folder.resolve()),
        objective=objective,
        budget=session.budget,
        unit=config.unit,
        workers=config.workers,
        searcher=str(config.searcher["_target_"]),
        arguments=config.arguments,
        table_seed=config.table_seed,
    )
    build_searcher(race, open_session(race, oracle), config.seed)  # wrong arguments fail here, before any work
    return race, session


def _fingerprint(config: FidelityConfig, oracle: Oracle, race: FidelityRace) -> dict[str, Any]:
    return {
        "table": oracle.name,
        "table_hash": oracle.table.content_hash,
        "objective": race.objective,
        "budget": race.budget,
        "unit": race.unit,
        "workers": race.workers,
        "table_seed": race.table_seed,
        "searcher": dict(config.searcher),
        "source": provenance.source_digest(searcher_class(race.searcher, FidelitySearcher)),
        "version": provenance.library_versions()["nasbench-ar"],
    }


def _resolved(
    config: FidelityConfig, oracle: Oracle, race: FidelityRace, session: FidelitySession, fingerprint: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": config.searcher_name,
        "table": oracle.name,
        "table_title": oracle.title,
        "table_folder": race.table,
        "objective": race.objective,
        "curve": session.curve,
        "epochs": session.epochs,
        "architectures": session.space.size,
        "budget": race.budget,
        "unit": race.unit,
        "cost": session.cost.label,
        "workers": race.workers,
        "runs": config.runs,
        "seed": config.seed,
        "table_seed": race.table_seed,
        "searcher": dict(config.searcher),
        "fingerprint": fingerprint,
    }


def _carry_out(
    race: FidelityRace, seeds: Sequence[int], store: TraceStore, engine: Engine, same: tuple[str, str]
) -> None:
    store = TraceStore(store.folder.resolve(), store.mark)  # a worker may have been started in another folder
    with bar(total=len(seeds), unit="run", desc=race.searcher.rpartition(".")[2]) as progress:
        for _ in engine.run(_run_and_store, [(race, seed, store, *same) for seed in seeds]):
            progress.update()


def _run_and_store(race: FidelityRace, seed: int, store: TraceStore, table_hash: str, source: str) -> None:
    if not store.has(seed):
        check_same(race.table, table_hash, searcher_class(race.searcher, FidelitySearcher), source)
        store.save_trace(run_once(race, seed))
