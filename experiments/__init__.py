"""Races of searchers on a table: seeded runs, Table 2, trajectories (NARes, section 5).

From Python, or from a shell:

    experiments.race("bananas", runs=400)

    python -m experiments.run searcher=bananas runs=400
    python -m experiments.table2 runs=400
    python -m experiments.plot results/nares-figures/bananas results/nares-figures/random_search
    python -m experiments.report
"""

from typing import Any

import nasbench_ar  # noqa: F401  # first of all, since it lets Ctrl-C end a command in one line
from nasbench_ar.system.packages import check_not_hidden

check_not_hidden("searchers")


def __getattr__(name: str) -> Any:
    if name != "race":
        raise AttributeError(f"module 'experiments' has no attribute {name!r}")
    from experiments.experiment import race  # with all that races need, which no command's --help should load

    return race


__all__ = ["race"]
