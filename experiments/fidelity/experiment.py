"""One multi-fidelity experiment: computes what is missing and reports everything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.fidelity import report
from experiments.races.complete import complete
from experiments.races.config import FidelityConfig
from experiments.races.store import RunStore
from experiments.results import summary
from experiments.results.traces import Results, read_results
from nasbench_ar import Oracle, load


def run_experiment(config: FidelityConfig, oracle: Oracle | None = None) -> Results:
    """Carry out what is missing of an experiment and write its report; an error loses nothing finished."""
    oracle = oracle or load(config.table, quiet=True)
    with complete(config, oracle, results_folder(config, oracle)) as (_, store):
        results = read_results(store.folder, config.seeds, oracle)
        write_report([results], store, "summary", foot=config.foot)
        store.write("table2.csv", summary.as_csv(table2(results)).encode())
    return results


def results_folder(config: FidelityConfig, oracle: Oracle) -> Path:
    return Path(config.out) / oracle.name / "fidelity"


def write_report(results: Sequence[Results], store: RunStore, name: str, *, foot: bool) -> list[str]:
    """Write `<name>.md`, `.csv`, `.png`, `.pdf` and `<name>_curves.csv`; returns their names."""
    store.write(f"{name}.md", report.as_text(results).encode())
    store.write(f"{name}.csv", report.table_csv(results).encode())
    store.write(f"{name}_curves.csv", report.curves_csv(results).encode())
    report.draw(results, store.folder / f"{name}.png", foot=foot)
    return [f"{name}.md", f"{name}.csv", f"{name}_curves.csv", f"{name}.png", f"{name}.pdf"]


def table2(results: Results) -> list[summary.Row]:
    """Every metric of Table 2 that the table has, for the reported architectures."""
    rows, _ = summary.summarise(
        results.oracle,
        results.reported,
        objective=results.race.objective,
        queries=0,
        searcher=None,
        table_seed=results.race.table_seed,
    )
    return rows
