"""Checks of values from a store's JSON files.

A check returns its value or raises ValueError. `json` reads NaN, infinities and integers of
any length, and `int` and `float` turn text and truth values into numbers; a damaged file
must not become a result that way.
"""

from __future__ import annotations

import math
from typing import Any

from nasbench_ar.errors import shown
from nasbench_ar.system.process import Process

MOST = 2**63  # no real count reaches it
MOST_PID = 2**31
MOST_CLASSES = 10_000  # of a data set; a larger label is a mistake


def number(value: Any) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < math.inf:
        raise ValueError(f"{shown(value)} is no finite number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{shown(value)} is no finite number") from None


def count(value: Any, most: int = MOST) -> int:
    """A whole number from 0, below `most`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < most:
        raise ValueError(f"{shown(value)} is no whole number from 0")
    return value


def truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{shown(value)} is neither true nor false")
    return value


def text(value: Any) -> str:
    """Text that UTF-8 can encode."""
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is no text")
    value.encode()  # refuses half of a surrogate pair
    return value


def line(value: Any) -> str:
    """Printable text of one line."""
    if not text(value).isprintable():
        raise ValueError(f"{shown(value)} is no line of text")
    return str(value)


def process(content: Any) -> Process:
    """A process from the fields `machine`, `pid` and `started`."""
    started = content["started"]
    return Process(
        machine=line(content["machine"]),
        pid=count(content["pid"], MOST_PID),
        started=None if started is None else count(started),
    )
