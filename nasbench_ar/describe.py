"""A table in words: what `python -m nasbench_ar info` prints."""

from __future__ import annotations

import textwrap

import numpy as np

from nasbench_ar.grid import Grid
from nasbench_ar.oracle import Oracle
from nasbench_ar.space import SearchSpace
from nasbench_ar.table import Table

_WIDTH = 100
_SCREEN = 79


def describe(table: Table, *, verify: bool = False) -> str:
    """All about a table; `verify` also compares every array with its hash."""
    lines = [f"{table.name}: {table.title}", *_origin(table), *_extent(table), *_columns(table)]
    if verify:
        table.verify()
        lines.append(f"  verified: {len(table.meta['files'])} arrays equal their hashes")
    return "\n".join(lines)


def summary(table: Table, *, note: str = "") -> str:
    """A table in a few lines; `note` ends the first."""
    curves = f"curves of {table.epochs} epochs" if table.curve_names else "no curves"
    cells = f"corruptions: {', '.join(table.corruption_kinds)}" if table.corruption_kinds else "no corruptions"
    return "\n".join(
        [
            f"{table.name}: {table.extent}{note}",
            *textwrap.wrap(table.title, _SCREEN, initial_indent="  ", subsequent_indent="  "),
            f"  folder: {table.folder}",
            _entry("objective", f"{table.default_objective}; {curves}, {cells}", _SCREEN),
            _entry("metrics", ", ".join(table.metrics), _SCREEN),
        ]
    )


def _origin(table: Table) -> list[str]:
    meta = table.meta
    source = ", ".join(f"{key} {value}" for key, value in meta["source"].items())
    out = [_entry("folder", str(table.folder))]
    for key, text in (("provenance", meta["provenance"]), ("licence", meta["licence"]), ("source", source)):
        out.append(_entry(key, text))
    return out + [_entry("note", str(note)) for note in meta["notes"]]


def _extent(table: Table) -> list[str]:
    space = table.space
    seeds = np.unique(table.seeds)
    listed = ", ".join(map(str, seeds[:10])) + (", ..." if len(seeds) > 10 else "")
    return [
        _entry("space", f"{space.product_size} architectures: {extent(space)}"),
        _entry("content", f"{table.extent}, seeds {listed}"),
        _entry("default objective", table.default_objective),
    ]


def extent(space: Grid) -> str:
    """What the architectures of a space are made of."""
    if not isinstance(space, SearchSpace):
        return ", ".join(map(str, space.entries))
    depths, widths = (", ".join(map(str, values)) for values in (space.depth_choices, space.width_choices))
    return f"{space.stages} stages, depths {depths}, widths {widths}"


def _columns(table: Table) -> list[str]:
    oracle = Oracle(table)
    out = ["  metrics, with the number of architectures that have a value:"]
    for name in oracle.metrics:
        count = int(oracle.available(name).sum())
        unit = f" [{found.unit}]" if (found := oracle.metric(name)).unit not in ("", "MACs") else ""
        out.append(f"    {name:<23}{count:>7}  {oracle.label(name)}{unit}")
    curves = f"{', '.join(table.curve_names)} ({table.epochs} epochs)" if table.curve_names else "none"
    flags = ", ".join(f"{name} ({int(table.flag(name).sum())})" for name in table.flag_names)
    out.append(_entry("curves", curves))
    out.append(_entry("corruptions", ", ".join(table.corruption_kinds) or "none"))
    out.append(_entry("flags", flags or "none"))
    out.append(_entry("labels", ", ".join(table.label_names) or "none"))
    return out


def _entry(key: str, text: str, width: int = _WIDTH) -> str:
    return textwrap.fill(f"{key}: {text}", width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
