"""Race multi-fidelity searchers under a budget of training.

    python -m experiments.fidelity table=digits-729
    python -m experiments.fidelity table=digits-729 searcher=asha workers=4 budget=800
    python -m experiments.fidelity table=nares searcher=hyperband unit=gpu_days budget=40
    python -m experiments.fidelity searcher._target_=my_module.MySearcher

Without a searcher, or with `searcher=all`, every known one runs with its defaults, and
the comparison goes to `<out>/<table>/fidelity/`; each one's own results to a folder of
its name there.  Started again, the same command goes on where it stopped.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from experiments.fidelity import report
from experiments.fidelity.experiment import results_folder, run_experiment, table2, write_report
from experiments.races.config import FIDELITY_RACES, KEPT, help_text, parse_command_line
from experiments.races.trace_store import TraceStore
from experiments.results.summary import HEADER, cells
from experiments.tables import as_markdown, definitions
from nasbench_ar import ConfigError, load
from nasbench_ar.system.command import run_command

ALL = "searcher=all"


def usage() -> str:
    return help_text(
        "python -m experiments.fidelity", __name__, "docs/fidelity.md", default="all", front=FIDELITY_RACES
    )


def main(arguments: Sequence[str]) -> None:
    words = [word for word in arguments if word != ALL]
    if any(word.startswith(("searcher=", "searcher._target_=")) for word in words):
        if len(words) < len(arguments):
            raise ConfigError(f"{ALL} names every searcher; name one, or none")
        _race_one(words)
    else:
        _race_all(words)


def _race_one(words: Sequence[str]) -> None:
    config = parse_command_line(words, FIDELITY_RACES)
    results = run_experiment(config, load(config.table, quiet=config.quiet))
    print(report.as_text([results]))
    print("The architectures reported, by every metric of Table 2 in the table:\n")
    rows = table2(results)
    print(as_markdown(HEADER, list(map(cells, rows))))
    if daggers := definitions(results.oracle, (row.metric for row in rows)):
        print(f"{daggers}.")
    print(f"{results_folder(config, results.oracle) / config.searcher_name}: summary.* table2.csv config.yaml")


def _race_all(words: Sequence[str]) -> None:
    if named := [word for word in words if word.startswith(("searcher.", "name="))]:
        raise ConfigError(f"{named[0]!r} is about one searcher; say which by searcher=NAME")
    configs = [parse_command_line([*words, f"searcher={name}"], FIDELITY_RACES) for name in FIDELITY_RACES.searchers]
    oracle = load(configs[0].table, quiet=configs[0].quiet)
    results = [run_experiment(config, oracle) for config in configs]
    store = TraceStore(results_folder(configs[0], oracle))
    print(report.as_text(results))  # first, since the folder may be read-only
    written = write_report(results, store, "comparison", foot=configs[0].foot)
    print(f"{store.folder}: {' '.join(written)}")


if __name__ == "__main__":
    sys.exit(run_command(main, kept=KEPT))
