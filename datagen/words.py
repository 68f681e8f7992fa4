"""`key=value` words of the commands that have a few keys of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datagen.config import check_keys
from nasbench_ar.errors import ConfigError, shown
from nasbench_ar.system.checked_json import quotable
from nasbench_ar.system.command import carry_out, docstring

MOST = 10**9
_TRUTH = {"true": True, "false": False}


def parse_words(
    words: Sequence[str], defaults: Mapping[str, Any], *, ranges: Mapping[str, tuple[int, int]] | None = None
) -> dict[str, Any]:
    """Read words; the type of a default says what its key takes: true or false, a number, or text.

    Args:
        words: `key=value` each.
        defaults: key -> default; one of None takes true or false, too.
        ranges: key -> the least and the largest number allowed, where they are not 0 and 10^9.

    Raises:
        ConfigError: on another form, an unknown key or a value of the wrong kind.
    """
    out = dict(defaults)
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not value:
            raise ConfigError(f"not of the form key=value: {shown(word)}; keys: {', '.join(defaults)}")
        check_keys([key], list(defaults))
        default = defaults[key]
        if default is None or isinstance(default, bool):
            if value.lower() not in _TRUTH:
                raise ConfigError(f"{key}={quotable(value)}: expected true or false")
            out[key] = _TRUTH[value.lower()]
        elif isinstance(default, (int, float)):
            out[key] = _number(key, value, type(default), *(ranges or {}).get(key, (0, MOST)))
        else:
            out[key] = value
    return out


def _number(key: str, value: str, kind: type[int] | type[float], least: int, most: int) -> int | float:
    try:
        number = kind(value)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        what = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{key}={quotable(value)}: expected {what} from {least} to {most}")
    return number


def run_command(work: Callable[[list[str]], str], module: str, arguments: Sequence[str] | None) -> int:
    """Print what a small command finds, or its help; returns the exit code.

    Args:
        work: takes the words, returns what is printed.
        module: name of its module, whose docstring is the help.
        arguments: the words; those of the process by default.
    """

    def find(words: list[str]) -> None:
        print(docstring(module) if {"-h", "--help"} & set(words) else work(words))

    return carry_out(find, arguments)
