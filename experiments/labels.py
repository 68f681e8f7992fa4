"""Short labels of metrics for pictures and tables: a dagger where a table measures otherwise, and one note on how."""

from __future__ import annotations

from collections.abc import Iterable

from nasbench_ar import METRICS, Oracle

OTHERWISE = "†"


def short_label(oracle: Oracle, name: str) -> str:
    """Label of a metric; `definitions` says what the dagger means."""
    return METRICS[name].label + (OTHERWISE if name in oracle.table.meta["differs"] else "")


def definitions(oracle: Oracle, names: Iterable[str]) -> str:
    """What the daggers on these metrics mean, in one line; empty where there is none."""
    differs = oracle.table.meta["differs"]
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        if name in differs:
            groups.setdefault(differs[name], []).append(METRICS[name].label)
    several = len(groups) > 1
    parts = [f"{', '.join(labels)}: {how}" if several else how for how, labels in groups.items()]
    return f"{OTHERWISE} measured otherwise than in the paper: {'; '.join(parts)}" if parts else ""
