"""Progress on standard error: a bar in a terminal, a line now and then in a log file or pipe."""

from __future__ import annotations

import sys
import time
from typing import Any

LOG_SECONDS = 30.0
_LINE = "{desc}: {n_fmt}/{total_fmt} {unit} [{elapsed}<{remaining}, {rate_fmt}]"


class Log:
    """Stands in for a bar outside a terminal: prints a line at most every `LOG_SECONDS`, and one at the end."""

    def __init__(self, *, total: int, unit: str, desc: str, unit_scale: bool = False) -> None:
        self.n = 0
        self._look = {"total": total, "unit": unit, "prefix": desc, "unit_scale": unit_scale}
        self._began = self._said = time.monotonic()

    def update(self, count: int = 1) -> None:
        self.n += count
        if time.monotonic() - self._said >= LOG_SECONDS:
            self._say()

    def _say(self) -> None:
        from tqdm import tqdm

        self._said = time.monotonic()
        line = tqdm.format_meter(n=self.n, elapsed=self._said - self._began, bar_format=_LINE, **self._look)
        print(line, file=sys.stderr, flush=True)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *error: object) -> None:
        self._say()


def bar(
    *, total: int, unit: str, desc: str, unit_scale: bool = False, line: int | None = None, hidden: bool = False
) -> Any:
    """A context manager with `n` and `update`: tqdm's bar on `line` of a terminal, `Log` elsewhere."""
    from tqdm import tqdm

    if hidden or sys.stderr.isatty():
        return tqdm(
            total=total,
            unit=unit,
            desc=desc,
            unit_scale=unit_scale,
            position=line,
            dynamic_ncols=True,
            disable=hidden,
            file=sys.stderr,
        )
    return Log(total=total, unit=unit, desc=desc, unit_scale=unit_scale)
