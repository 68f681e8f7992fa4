"""One entry of an architecture's vector: its name, the levels that it may take, and whether they have an order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from nasbench_ar.errors import SpaceError, shown

Level = int | float | str | bool

_TAKEN = ("arch_id", "arch", "seed")  # columns of every table as a frame


@dataclass(frozen=True)
class Entry:
    """One entry of the vectors of a `Grid`.

    Attributes:
        name: printable, without spaces, commas or `=`.
        choices: different levels: integers, finite numbers, texts without commas, or booleans.
        ordered: whether the levels are given in order (ordinal), so that neighbours in the list
            are alike; False for names without order (categorical).

    Raises:
        SpaceError: when the name or a level is not allowed, two levels are equal or print alike,
            or numbers in order do not ascend.
    """

    name: str
    choices: tuple[Level, ...]
    ordered: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _is_word(self.name) or "=" in self.name or " " in self.name:
            raise SpaceError(
                f"entry {shown(self.name)}: expected a printable name without spaces, commas and '='; rename it"
            )
        if self.name in _TAKEN:
            raise SpaceError(f"entry {self.name!r} would hide the column of that name in every table; rename it")
        if not isinstance(self.ordered, bool):
            raise SpaceError(f"entry {self.name}: ordered={shown(self.ordered)}: expected True or False")
        given = self.choices
        if isinstance(given, str) or not isinstance(given, Iterable) or not (levels := tuple(map(plain, given))):
            raise SpaceError(f"entry {self.name}: choices={shown(given)}: expected a list of levels")
        for level in levels:
            if not _is_level(level):
                raise SpaceError(
                    f"entry {self.name}: {shown(level)} cannot be a level; levels are finite numbers, booleans, "
                    "and texts that are printable, without commas and spaces at the ends"
                )
        if len(set(levels)) < len(levels) or len(set(map(str, levels))) < len(levels):
            raise SpaceError(f"entry {self.name}: choices={shown(levels)} are not all different")
        numbers = all(isinstance(level, (int, float)) for level in levels)
        if self.ordered and numbers and any(a >= b for a, b in pairwise(levels)):
            raise SpaceError(
                f"entry {self.name}: choices={shown(levels)} do not ascend; sort them, or say ordered=False"
            )
        object.__setattr__(self, "choices", levels)

    def __str__(self) -> str:
        levels = ", ".join(map(str, self.choices))
        return f"{self.name}=[{levels}]" if self.ordered else f"{self.name}={{{levels}}}"

    @cached_property
    def digit_of(self) -> dict[Any, int]:
        """Level -> its position among the choices."""
        return {level: digit for digit, level in enumerate(self.choices)}

    @cached_property
    def by_text(self) -> dict[str, Level]:
        """Level, by how it is printed."""
        return {str(level): level for level in self.choices}

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for a table's `meta.json`."""
        return {"name": self.name, "choices": list(self.choices), "ordered": self.ordered}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Entry:
        """Rebuild an entry from `to_dict`; `SpaceError` on missing or unknown keys or wrong values."""
        if not isinstance(data, Mapping) or set(data) != {"name", "choices", "ordered"}:
            raise SpaceError(f"an entry needs exactly the keys name, choices and ordered; given: {shown(data, 300)}")
        return cls(**data)


def plain(value: Any) -> Any:
    """A NumPy scalar as the Python value that it stands for."""
    return value.item() if isinstance(value, np.generic) else value


def _is_level(level: object) -> bool:
    if isinstance(level, str):
        return _is_word(level)
    return isinstance(level, int) or (isinstance(level, float) and math.isfinite(level))


def _is_word(text: str) -> bool:
    return bool(text) and text.isprintable() and "," not in text and text.strip() == text
