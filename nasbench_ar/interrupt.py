"""Ctrl-C while a command still loads its modules: one line and exit code 130, as later on.

The packages with commands import this first.  It does nothing but for `python -m`.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType


def _one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    print("interrupted", file=sys.stderr, flush=True)
    os._exit(130)  # otherwise Python ends itself by the signal


if sys.argv[:1] == ["-m"]:  # as long as Python looks for the module to run
    sys.excepthook = _one_line
