"""Checks of what JSON files of a store say, and what messages may repeat of files and words.

`json` reads NaN, infinities and integers of any length, and `int` and `float` make numbers
of texts and truth values; a damaged file must not become a result that way.
"""

from __future__ import annotations

import math
from typing import Any

from nasbench_ar.errors import shown
from nasbench_ar.system.process import Process

MOST = 2**63  # beyond it, counts are no counts
MOST_PID = 2**31
MOST_CLASSES = 10_000  # of a data set; a larger label is a mistake


def number(value: Any) -> float:
    """A finite number.

    Raises:
        ValueError: when it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < math.inf:
        raise ValueError(f"{shown(value)} is no finite number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{shown(value)} is no finite number") from None


def count(value: Any, most: int = MOST) -> int:
    """A whole number from 0, below `most`.

    Raises:
        ValueError: when it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < most:
        raise ValueError(f"{shown(value)} is no whole number from 0")
    return value


def truth(value: Any) -> bool:
    """True or false.

    Raises:
        ValueError: when it is neither.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{shown(value)} is neither true nor false")
    return value


def text(value: Any) -> str:
    """A text that can be written down again.

    Raises:
        ValueError: when it is none.
    """
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is no text")
    value.encode()  # half of a surrogate pair is no character
    return value


def line(value: Any) -> str:
    """A text of one line that can be printed.

    Raises:
        ValueError: when it is none.
    """
    if not text(value).isprintable():
        raise ValueError(f"{shown(value)} is no line of text")
    return str(value)


def process(content: Any) -> Process:
    """Of the fields `machine`, `pid` and `started`; its number is one that the system takes.

    Raises:
        KeyError, TypeError, ValueError: when it is none.
    """
    started = content["started"]
    return Process(
        machine=line(content["machine"]),
        pid=count(content["pid"], MOST_PID),
        started=None if started is None else count(started),
    )


def quotable(value: object, most: int = 200) -> str:
    """What was typed, as a message may repeat it: as it is, if that is one short line, or as `repr` writes it."""
    if isinstance(value, str) and value.isprintable() and len(value) <= most:
        return value
    return shown(value, most)


def one_line(error: Exception, most: int = 200) -> str:
    """What an error says, as a message may quote it."""
    return " ".join(str(error).split())[:most] or type(error).__name__
